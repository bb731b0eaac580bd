import { fromBinary } from '@bufbuild/protobuf';
import { MOST_BYTES, readRegularFileSync } from '../files.js';
import { UserError } from '../errors.js';
import { ModelProtoSchema } from './onnx_pb.js';

/**
 * The files in which a model says it keeps tensors, as it names them; the model need not be one that ort-tl can use.
 * @param shown for messages: what the file is called.
 * @throws UserError `not-onnx`.
 */
export function externalLocations(path: string, shown: string): string[] {
  try {
    const { graph } = fromBinary(ModelProtoSchema, readRegularFileSync(path, MOST_BYTES.file));
    // Nothing at all decodes too.
    if (!graph) throw new Error('it has no graph');
    const locations = graph.initializer.flatMap(({ dataLocation, externalData }) =>
      dataLocation === 1 ? externalData.flatMap(({ key, value }) => (key === 'location' ? value : [])) : [],
    );
    return [...new Set(locations)];
  } catch (cause) {
    throw new UserError('not-onnx', `${shown} is not a whole ONNX model; take another file`, { cause });
  }
}
