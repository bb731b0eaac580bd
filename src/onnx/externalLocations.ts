import { fromBinary } from '@bufbuild/protobuf';
import { MOST_BYTES, readRegularFileSync } from '../files.js';
import { UserError } from '../errors.js';
import { ModelProtoSchema, type TensorProto } from './onnx_pb.js';
import { bytesPerElement, dtypeOfCode, elementCount } from './tensor.js';

/** Bits of an element of each `TensorProto.DataType` that ort-tl does not compute with. */
const ALIEN_BITS: Readonly<Record<number, number>> = {
  ...{ 14: 64, 15: 128, 16: 16, 17: 8, 18: 8, 19: 8, 20: 8, 21: 4, 22: 4, 23: 4 },
};

/**
 * The files in which a model says it keeps tensors, as it names them, with the bytes that each holds at the least; the model need not be one
 * that ort-tl can use.
 * @param shown for messages: what the file is called.
 * @throws UserError `not-onnx`.
 */
export function externalSizes(path: string, shown: string): Map<string, number> {
  try {
    const { graph, opsetImport } = fromBinary(ModelProtoSchema, readRegularFileSync(path, MOST_BYTES.file));
    // Nothing at all decodes too, and so does what is cut off behind the graph.
    if (!graph || opsetImport.length === 0) throw new Error('it has no graph');
    const sizes = new Map<string, number>();
    for (const tensor of graph.initializer) {
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
  const dtype = dtypeOfCode(dataType);
  const bits = dtype ? 8 * bytesPerElement(dtype) : (ALIEN_BITS[dataType] ?? 0);
  return Math.max(0, Math.ceil((elementCount(dims.map(Number)) * bits) / 8));
}
