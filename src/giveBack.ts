/** A port with nobody behind it: what is transferred to it is gone at once. */
const nowhere = (() => {
  const { port1, port2 } = new MessageChannel();
  port2.close();
  return port1;
})();

/** Smaller buffers cost more to hand over (some 50 µs together) than they take until the collector comes. */
const WORTHWHILE_BYTES = 2 ** 16;

/**
 * Gives back memory that nobody reads any more, which the garbage collector would do much later. Arrays over it are empty then,
 * unless it is less than `worthwhileBytes`.
 */
export function giveBack(buffers: Iterable<ArrayBufferLike>, worthwhileBytes = WORTHWHILE_BYTES): void {
  const large = [...new Set(buffers)].filter(
    (buffer): buffer is ArrayBuffer => buffer instanceof ArrayBuffer && buffer.byteLength >= worthwhileBytes,
  );
  if (large.length > 0) nowhere.postMessage(undefined, large);
}
