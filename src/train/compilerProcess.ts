import { Worker } from 'node:worker_threads';
import { type Compiled, writeArtifacts } from '../artifacts/compile.js';
import type { Manifest } from '../artifacts/manifest.js';
import { carried } from '../carriedError.js';
import { entryPoint } from '../entryPoint.js';
import { UserError } from '../errors.js';
import { readModel } from '../onnx/model.js';
import type { Reply } from '../pendingCalls.js';
import { compileWithin, type Planning } from './compileWithin.js';
import type { Settings } from './options.js';

/** What the process is asked: to compile, then to write what it compiled. */
export type Request =
  { readonly path: string; readonly sha256: string; readonly planning: Planning } | { readonly folder: string };

export interface Call {
  readonly id: number;
  readonly request: Request;
}

export interface Answer {
  readonly settings?: Settings;
  readonly manifest?: Manifest;
}

let last: Compiled | undefined;

async function carryOut(request: Request): Promise<Answer> {
  if ('folder' in request) {
    if (!last) throw new Error('nothing was compiled');
    return { manifest: await writeArtifacts(last, request.folder) };
  }
  const model = readModel(request.path);
  if (model.sha256 !== request.sha256)
    throw new UserError('bad-arguments', `${request.path} has changed since it was read; begin again`);
  const { compiled, settings } = await compileWithin(model, request.planning);
  last = compiled;
  return { settings };
}

const watch = new Worker(entryPoint('parentWatch'), { workerData: process.argv[2] });
watch.unref();
// Without it, this process ends when it has compiled.
watch.on('error', () => undefined);
// Whoever asks decides when to stop.
process.on('SIGINT', () => undefined);
process.on('disconnect', () => process.exit());
process.on('message', ({ id, request }: Call) => {
  const reply = (answer: Reply) => process.send?.(answer);
  carryOut(request).then(
    (result) => reply({ id, result }),
    (thrown: unknown) => reply({ id, error: carried(thrown) }),
  );
});
