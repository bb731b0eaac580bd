import { workerData } from 'node:worker_threads';

/**
 * A thread of a process that computes for another one, and does not look up meanwhile: it ends the process soon after that one has
 * ended, however it did. Its data is the number of that one, which may have ended before the thread begins.
 */
const parent = Number(workerData);
const LOOK_EVERY_MS = 500;
/** A process that is not busy ends by itself, and removes what it was writing. */
const GRACE_MS = 1000;

const timer = setInterval(() => {
  if (isThere()) return;
  clearInterval(timer);
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), GRACE_MS);
}, LOOK_EVERY_MS);

function isThere(): boolean {
  // A process whose parent has ended is given another one, but for Windows.
  if (process.ppid !== parent) return false;
  try {
    process.kill(parent, 0);
    return true;
  } catch (thrown) {
    return thrown instanceof Error && 'code' in thrown && thrown.code === 'EPERM';
  }
}
