/** A port with nobody behind it: what is transferred to it is gone at once. */
const nowhere = (() => {
  const { port1, port2 } = new MessageChannel();
  port2.close();
  return port1;
})();

/** Gives back memory that nobody reads any more, which the garbage collector would do much later. Arrays over it are empty then. */
export function giveBack(buffers: Iterable<ArrayBufferLike>): void {
  nowhere.postMessage(
    undefined,
    [...new Set(buffers)].filter((buffer) => buffer instanceof ArrayBuffer),
  );
}
