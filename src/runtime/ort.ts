import { telemetryOff } from './telemetry.js';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import type * as Runtime from 'onnxruntime-node';
import { type MachineError, messageOf } from '../errors.js';
import { machineError } from '../machineError.js';
import { loadNative, nativeProblem } from '../nativeLibrary.js';
import { poolSize } from '../threadPool.js';
import { threadsLeft } from '../threadsLeft.js';

export type * from 'onnxruntime-node';

const load = createRequire(import.meta.url);
// The part of onnxruntime-node without machine code, so that what opens no session runs where that cannot be loaded.
const common = createRequire(load.resolve('onnxruntime-node'))('onnxruntime-common') as Pick<
  typeof Runtime,
  'env' | 'Tensor'
>;
type Tensor = Runtime.Tensor;
const { Tensor } = common;
export { Tensor };

// Warnings, as of a home folder that it cannot write to, are not for the terminal.
common.env.logLevel = 'error';

/** onnxruntime-node's version; part of every cache's key. */
export const runtimeVersion = (load('onnxruntime-node/package.json') as { readonly version: string }).version;

let runtime: typeof Runtime | undefined;

/** onnxruntime-node with its machine code. @throws MachineError `unsupported-machine`. */
function loadRuntime(): typeof Runtime {
  return (runtime ??= loadNative('ONNX Runtime', () => load('onnxruntime-node') as typeof Runtime));
}

/** Why ONNX Runtime does not run on this machine, in one line; undefined where it can be loaded. */
export function runtimeProblem(): MachineError | undefined {
  return nativeProblem(loadRuntime);
}

/**
 * Settings of every session. Without `force_spinning_stop` a session's threads go on looking for work for up to 0.1 s after a run, and
 * take the cores from the next session's: on two cores its runs take twice as long.
 */
export const SESSION_OPTIONS = {
  logSeverityLevel: 4,
  extra: { session: { force_spinning_stop: '1' } },
} as const satisfies Runtime.InferenceSession.SessionOptions;

/** Threads that others of this process may start meanwhile: libuv those of its pool, libvips as many. */
const otherThreads = () => 2 * poolSize();

/**
 * Opens a session, of a path or of a model's bytes, when ONNX Runtime's telemetry is off.
 * @throws what ONNX Runtime throws, and as {@link telemetryOff} does; MachineError where its threads could not all be started: ONNX Runtime
 * would wait for the others for ever, or end the process; MachineError `unsupported-machine` where ONNX Runtime cannot be loaded.
 */
export async function openSession(
  model: string | Uint8Array,
  options: Runtime.InferenceSession.SessionOptions,
): Promise<Runtime.InferenceSession> {
  await telemetryOff();
  const { InferenceSession } = loadRuntime();
  const threads = (options.intraOpNumThreads ?? 0) || availableParallelism();
  const needed = threads - 1 + otherThreads();
  const left = threadsLeft();
  if (left < needed)
    throw machineError(
      'out-of-threads',
      `too few threads or processes can be started: ${Math.max(0, left)} more, and ONNX Runtime and what decodes photos take up to ${needed}`,
    );
  return typeof model === 'string' ? InferenceSession.create(model, options) : InferenceSession.create(model, options);
}

/** What ONNX Runtime says against a model, which it may do in several lines, in one. */
export function reasonOf(thrown: unknown): string {
  return messageOf(thrown)
    .trim()
    .replaceAll(/\s*\n\s*/g, ' ');
}
