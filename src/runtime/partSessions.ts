import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../errors.js';
import { machineErrorOf } from '../machineError.js';
import { decodeModel } from '../onnx/model.js';
import * as ort from './ort.js';
import type { Provider } from './providers.js';
import { type Run, runInto } from './runInto.js';

type SessionOptions = ort.InferenceSession.SessionOptions;

/** How the parts of a compiled training are run; 0 threads: as many as ONNX Runtime likes. */
export function sessionOptions(threads: number, provider: Provider): SessionOptions {
  return {
    // What a provider lacks runs on the CPU.
    executionProviders: provider === 'cpu' ? ['cpu'] : [provider, 'cpu'],
    executionMode: 'sequential',
    interOpNumThreads: 1,
    // With it a run takes all its memory in one piece beside what the first run took in many: almost twice as much, and slower.
    enableMemPattern: false,
    ...(threads > 0 ? { intraOpNumThreads: threads } : {}),
    ...ort.SESSION_OPTIONS,
  };
}

/** Opens the part that a file of `folder` holds. @throws UserError `not-loadable` when ONNX Runtime refuses it. */
export async function openPart(folder: string, file: string, options: SessionOptions): Promise<ort.InferenceSession> {
  const path = join(folder, file);
  return openBytes(readFileSync(path), path, options);
}

/** Opens a model, of which messages say that it lies in the file `path`. @throws UserError `not-loadable` when ONNX Runtime refuses it. */
export async function openBytes(
  bytes: Uint8Array,
  path: string,
  options: SessionOptions,
): Promise<ort.InferenceSession> {
  try {
    return await ort.openSession(bytes, withoutIndices(options, bytes, path));
  } catch (thrown) {
    throw refusal('not-loadable', `cannot load ${path}`, thrown);
  }
}

/** Runs a part. @throws UserError `not-runnable` with ONNX Runtime's reason. */
export async function runPart(file: string, session: ort.InferenceSession, run: Run): Promise<void> {
  try {
    await runInto(session, run);
  } catch (thrown) {
    throw refusal('not-runnable', `failed while it ran ${file}`, thrown);
  }
}

/** Runs a part, and gives all of its results. @throws UserError `not-runnable` with ONNX Runtime's reason. */
export async function runResults(
  file: string,
  session: ort.InferenceSession,
  feeds: Run['feeds'],
): Promise<Record<string, ort.Tensor>> {
  try {
    return await session.run(feeds);
  } catch (thrown) {
    throw refusal('not-runnable', `failed while it ran ${file}`, thrown);
  }
}

/** What ONNX Runtime says against a part of the model, or that the machine has met a limit. The parts keep the nodes' names, so its reason leads to the source. */
export function refusal(code: string, what: string, thrown: unknown): Error {
  if (thrown instanceof UserError) return thrown;
  return (
    machineErrorOf(thrown) ??
    new UserError(
      code,
      `ONNX Runtime ${what}: ${ort.reasonOf(thrown)}; check that it runs the model that you began with, or choose ‹provider› cpu where another lacks an operator`,
      { cause: thrown },
    )
  );
}

/**
 * `options` with the MaxPools on the CPU whose indices are asked for, as gradients do: ONNX Runtime's WebGPU provider takes such
 * a node, and then fails when it runs it.
 */
function withoutIndices(options: SessionOptions, bytes: Uint8Array, path: string): SessionOptions {
  if (!options.executionProviders?.includes('webgpu')) return options;
  const forceCpuNodeNames = (decodeModel(bytes, path).graph?.node ?? [])
    .filter(({ opType, output }) => opType === 'MaxPool' && output.length > 1)
    .map(({ name }) => name);
  if (forceCpuNodeNames.length === 0) return options;
  return { ...options, executionProviders: [{ name: 'webgpu', forceCpuNodeNames }, 'cpu'] };
}
