import { clone } from '@bufbuild/protobuf';
import { type GraphProto, type ModelProto, ModelProtoSchema } from './onnx_pb.js';

/** A copy that shares the numbers of the initializers, which are most of a model: its tensors are to be replaced, not changed. */
export function copyOfModel(source: ModelProto): ModelProto {
  const { graph } = source;
  if (!graph) return clone(ModelProtoSchema, source);
  const copy = clone(ModelProtoSchema, sharing(source, { graph: sharing<GraphProto>(graph, { initializer: [] }) }));
  if (copy.graph) copy.graph.initializer = [...graph.initializer];
  return copy;
}

/** A message of the same fields but for `changes`, and the same defaults behind them. */
export function sharing<Message extends object>(message: Message, changes: Partial<Message>): Message {
  const same = Object.create(Object.getPrototypeOf(message) as object) as Message;
  return Object.assign(same, message, changes);
}
