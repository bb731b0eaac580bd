import { fromBinary } from '@bufbuild/protobuf';
import { MOST_BYTES, readRegularFileSync } from '../files.js';
import { UserError } from '../errors.js';
import { locationsOf } from './externalData.js';
import { ModelProtoSchema } from './onnx_pb.js';

/**
 * The files in which a model says it keeps tensors, as it names them; the model need not be one that ort-tl can use.
 * @param shown for messages: what the file is called.
 * @throws UserError `not-onnx`.
 */
export function externalLocations(path: string, shown: string): string[] {
  try {
    const model = fromBinary(ModelProtoSchema, readRegularFileSync(path, MOST_BYTES.file));
    // Nothing at all decodes too.
    if (!model.graph) throw new Error('it has no graph');
    return locationsOf(model);
  } catch (cause) {
    throw new UserError('not-onnx', `${shown} is not a whole ONNX model; take another file`, { cause });
  }
}
