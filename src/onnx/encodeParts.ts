import { toBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { GraphProtoSchema, type ModelProto, ModelProtoSchema, type TensorProto, TensorProtoSchema } from './onnx_pb.js';
import { sharing } from './sharing.js';

/** Fields of onnx.proto. */
const [MODEL_GRAPH, GRAPH_INITIALIZER, TENSOR_RAW_DATA] = [7, 5, 9];

/**
 * The bytes of a model, in parts that follow one another: those of its initializers are the model's own, since a writer of
 * protocol buffers copies a message once for each that it lies in, and weights may take a gigabyte. Together they are what
 * `toBinary` gives, but that fields stand in an order of their own, which the format leaves open.
 */
export function encodeParts(model: ModelProto): Uint8Array[] {
  const { graph } = model;
  if (!graph) return [toBinary(ModelProtoSchema, model)];
  const parts = [
    toBinary(GraphProtoSchema, sharing(graph, { initializer: [] })),
    ...graph.initializer.flatMap((tensor) => field(GRAPH_INITIALIZER, tensorParts(tensor))),
  ];
  return [toBinary(ModelProtoSchema, sharing(model, { graph: undefined })), ...field(MODEL_GRAPH, parts)];
}

function tensorParts(tensor: TensorProto): Uint8Array[] {
  if (tensor.rawData.byteLength === 0) return [toBinary(TensorProtoSchema, tensor)];
  const rest = toBinary(TensorProtoSchema, sharing(tensor, { rawData: new Uint8Array() }));
  return [rest, ...field(TENSOR_RAW_DATA, [tensor.rawData])];
}

/** A field of a message whose bytes are `parts`. */
function field(number: number, parts: readonly Uint8Array[]): Uint8Array[] {
  const byteLength = parts.reduce((sum, part) => sum + part.byteLength, 0);
  const head = new BinaryWriter().tag(number, WireType.LengthDelimited).uint32(byteLength).finish();
  return [head, ...parts];
}
