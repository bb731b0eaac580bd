import { Worker } from 'node:worker_threads';
import { writeArtifacts } from '../artifacts/artifactFiles.js';
import type { Compiled } from '../artifacts/compile.js';
import type { Manifest } from '../artifacts/manifest.js';
import { answerCalls, processLine } from '../channel.js';
import { entryPoint } from '../entryPoint.js';
import { UserError } from '../errors.js';
import { readModel } from '../onnx/model.js';
import { compileWithin, type Planning } from './compileWithin.js';
import type { Settings } from './trainOptions.js';

let last: Compiled | undefined;

/** What the process does for {@link startCompiling}, by the names of its calls. */
const operations = {
  /** Compiles the model at `path`, and gives the settings with the plan that was found for the memory. */
  compile: async (path: string, sha256: string, planning: Planning): Promise<Settings> => {
    const model = readModel(path);
    if (model.sha256 !== sha256)
      throw new UserError('bad-arguments', `${path} has changed since it was read; begin again`);
    const { compiled, settings } = await compileWithin(model, planning);
    last = compiled;
    return settings;
  },
  /** Writes what was compiled last. */
  write: (folder: string): Promise<Manifest> => {
    if (!last) throw new Error('nothing was compiled');
    return writeArtifacts(last, folder);
  },
};

export type CompilerOperations = typeof operations;

const watch = new Worker(entryPoint('parentWatch'), { workerData: process.argv[2] });
watch.unref();
// Without it, this process ends when it has compiled.
watch.on('error', () => undefined);
// Whoever asks decides when to stop.
process.on('SIGINT', () => undefined);
process.on('disconnect', () => process.exit());
answerCalls(processLine(process), operations);
