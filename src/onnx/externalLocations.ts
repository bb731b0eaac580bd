import { fromBinary } from '@bufbuild/protobuf';
import { MOST_BYTES, readRegularFileSync } from '../files.js';
import { UserError } from '../errors.js';
import { ModelProtoSchema, type TensorProto } from './onnx_pb.js';
import { bitsPerElement, elementCount } from './tensor.js';
import { tensorsOf } from './tensorsOf.js';

/**
 * The files in which a model says it keeps tensors, as it names them, with the bytes that each holds at the least; the model need not be one
 * that ort-tl can use.
 * @param shown for messages: what the file is called.
 * @throws UserError `not-onnx`.
 */
export function externalSizes(path: string, shown: string): Map<string, number> {
  try {
    const model = fromBinary(ModelProtoSchema, readRegularFileSync(path, MOST_BYTES.file));
    // Nothing at all decodes too, and so does what is cut off behind the graph.
    if (!model.graph || model.opsetImport.length === 0) throw new Error('it has no graph');
    const sizes = new Map<string, number>();
    for (const tensor of tensorsOf(model)) {
      if (tensor.dataLocation !== 1) continue;
      const entries = new Map(tensor.externalData.map(({ key, value }) => [key, value]));
      const location = entries.get('location');
      if (location === undefined) continue;
      const end = numberIn(entries.get('offset')) + (numberIn(entries.get('length')) || bytesOfShape(tensor));
      sizes.set(location, Math.max(sizes.get(location) ?? 0, end));
    }
    return sizes;
  } catch (cause) {
    throw new UserError('not-onnx', `${shown} is not a whole ONNX model; take another file`, { cause });
  }
}

/** The files of {@link externalSizes}. @throws UserError `not-onnx`. */
export const externalLocations = (path: string, shown: string): string[] => [...externalSizes(path, shown).keys()];

/** What an entry says; 0 where it says nothing that is a number. */
const numberIn = (entry = ''): number => (/^\d+$/.test(entry) ? Number(entry) : 0);

function bytesOfShape({ dims, dataType }: TensorProto): number {
  return Math.max(0, Math.ceil((elementCount(dims.map(Number)) * (bitsPerElement(dataType) ?? 0)) / 8));
}
