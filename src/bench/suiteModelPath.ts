import { statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { networkCalled } from '../hub/resolveModel.js';

/** Where a model of a suite is, or would be. */
export interface SuiteModelPlace {
  readonly path: string;
  /** The name by which it is loaded, where that has not been done. */
  readonly toPull?: string;
}

/**
 * Where the model is that a suite names: by a path relative to `folder`, of a file or of a run, or by a network's name.
 * @throws UserError `bad-model-name`, `no-such-file`.
 */
export function suiteModelPath(given: string, folder: string): SuiteModelPlace {
  const path = resolve(folder, given);
  const found = statSync(path, { throwIfNoEntry: false });
  const inRun = join(path, 'model.onnx');
  if (found?.isDirectory() === true && statSync(inRun, { throwIfNoEntry: false })?.isFile() === true)
    return { path: inRun };
  const network = found?.isFile() === true ? undefined : networkCalled(given);
  if (!network) return { path };
  return network.path === undefined ? { path, toPull: given } : { path: network.path };
}
