import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as ort from './ort.js';
import { UserError } from '../errors.js';
import { fileErrorCode } from '../files.js';
import { machineErrorOf } from '../machineError.js';
import { temporaryFolder } from '../temporary.js';

/** How a file in ORT format says what it is, behind the first four bytes. */
const IDENTIFIER = 'ORTM';

/**
 * The bytes of an ONNX model in ONNX Runtime's own format, which its small builds for phones load. Optimized as far as the result
 * runs on every machine.
 * @throws UserError `not-loadable`, `write-failed`; `no-ort-format` where the binding of this version does not write it.
 */
export async function inOrtFormat(model: Uint8Array): Promise<Uint8Array> {
  const folder = temporaryFolder();
  const path = join(folder.path, 'model.ort');
  try {
    const session = await ort.openSession(model, {
      logSeverityLevel: 4,
      graphOptimizationLevel: 'extended',
      optimizedModelFilePath: path,
      extra: { session: { save_model_format: 'ORT' } },
    });
    await session.release();
    const bytes = await readFile(path);
    if (bytes.subarray(4, 8).toString('latin1') === IDENTIFIER) return bytes;
  } catch (thrown) {
    if (thrown instanceof UserError) throw thrown;
    if (fileErrorCode(thrown) !== 'ENOENT') {
      const what = `ONNX Runtime cannot write the model in its own format: ${ort.reasonOf(thrown)}`;
      throw machineErrorOf(thrown) ?? new UserError('not-loadable', what);
    }
  } finally {
    await folder.remove();
  }
  throw new UserError(
    'no-ort-format',
    'this version of onnxruntime-node does not write the ORT format; export with ‹format› onnx, and convert it with the onnxruntime package of Python',
  );
}
