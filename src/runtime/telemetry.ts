import { Session } from 'node:inspector';
import { getEnvironmentData, isMainThread, setEnvironmentData } from 'node:worker_threads';
import { UserError } from '../errors.js';

/** ONNX Runtime reads it when a process makes its first session; any value but `1` leaves its telemetry on. */
export const TELEMETRY_VARIABLE = 'ORT_DISABLE_TELEMETRY';
/** Under this key, a thread tells the workers that it starts that the variable is set. */
const SETTLED = 'ort-tl: telemetry is settled';
/** A main thread that does not answer for so long waits in native code, perhaps for us. */
const PATIENCE_MS = 30_000;

/** Whether the user has set the variable, to whatever value. */
export const chosenByUser = process.env[TELEMETRY_VARIABLE] !== undefined;

const settled = settle();
// Who makes the first session is told.
settled.catch(() => undefined);

/**
 * Waits until ONNX Runtime's telemetry, which version 1.30 has on by default, is off in this process: it would keep a device id and a
 * database in the home folder, and send them. A user's own choice stays.
 * @throws UserError `telemetry-on` in a worker whose main thread cannot be reached.
 */
export function telemetryOff(): Promise<void> {
  return settled;
}

async function settle(): Promise<void> {
  if (isMainThread) process.env[TELEMETRY_VARIABLE] ??= '1';
  else if (getEnvironmentData(SETTLED) !== true) await setInMainThread(process.env[TELEMETRY_VARIABLE] ?? '1');
  setEnvironmentData(SETTLED, true);
}

/**
 * Sets the variable where it is not set yet. A worker's `process.env` is a copy, which native code does not read, so the main thread has
 * to; an inspector's session reaches it, even where it computes or waits.
 */
async function setInMainThread(value: string): Promise<void> {
  const session = new Session();
  let timer: NodeJS.Timeout | undefined;
  try {
    session.connectToMainThread();
    const expression = `process.env[${JSON.stringify(TELEMETRY_VARIABLE)}] ??= ${JSON.stringify(value)}`;
    await new Promise<void>((resolve, reject) => {
      timer = setTimeout(() => {
        reject(new Error('the main thread does not answer'));
      }, PATIENCE_MS);
      session.post('Runtime.evaluate', { expression }, (failed, answer) => {
        if (failed) reject(failed);
        else if (answer.exceptionDetails) reject(new Error(answer.exceptionDetails.text));
        else resolve();
      });
    });
  } catch (cause) {
    if (chosenByUser) return;
    throw new UserError(
      'telemetry-on',
      `ONNX Runtime's telemetry cannot be turned off in a worker of this program; set ${TELEMETRY_VARIABLE}=1 in the environment, or import ort-tl in the main thread first`,
      { cause },
    );
  } finally {
    clearTimeout(timer);
    session.disconnect();
  }
}
