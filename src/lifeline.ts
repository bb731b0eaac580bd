import { Socket } from 'node:net';

/** The variable that tells which descriptor of a process is the end of its parent's lifeline. */
export const LIFELINE = 'ORT_TL_LIFELINE';

/** Has `onEnd` called once the process that started this one has ended, however that ended, if it gave this one a lifeline. */
export function watchLifeline(onEnd: () => void): void {
  const descriptor = Number(process.env[LIFELINE] ?? NaN);
  // It is nobody else's that this process starts.
  Reflect.deleteProperty(process.env, LIFELINE);
  if (!Number.isInteger(descriptor) || descriptor < 3) return;
  let socket: Socket;
  try {
    socket = new Socket({ fd: descriptor, readable: true, writable: false });
  } catch {
    // There is no such descriptor: the variable is of another process.
    return;
  }
  socket.once('error', onEnd).once('end', onEnd);
  socket.resume().unref();
}
