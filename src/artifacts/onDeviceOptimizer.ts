import { create } from '@bufbuild/protobuf';
import { float, int, Node, Value } from '../graph/graph.js';
import { protoOfNode, protoOfValue } from '../graph/proto.js';
import { type ModelProto, ModelProtoSchema, type ValueInfoProto, ValueInfoProtoSchema } from '../onnx/onnx_pb.js';
import { dtypeCode } from '../onnx/tensor.js';
import type { Optimizer } from '../optim/optimizer.js';

/** The domain of ONNX Runtime's own operators. */
export const CONTRIB = 'com.microsoft';

/** Updates all parameters in place, from sequences that the runtime hands over in an order of its own. */
export function onDeviceOptimizer(opset: number, optimizer: Optimizer, clipNorm: number): ModelProto {
  const tensorInput = (name: string, dtype: 'float32' | 'int64') => protoOfValue(new Value(name, dtype, [1]), name);
  const node = (op: string, inputs: string[], output: Value, attributes: Node['attributes']) =>
    protoOfNode(
      new Node({
        op,
        domain: CONTRIB,
        name: op,
        inputs: inputs.map((name) => new Value(name)),
        outputs: [output],
        attributes,
      }),
    );
  const updated = new Value('updated', 'bool', optimizer.name === 'adamw' ? [1] : undefined);
  const gradients = clipNorm > 0 ? 'clipped_gradients' : 'gradients';
  const clip =
    clipNorm > 0
      ? [node('InplaceClipGradNorm', ['gradients'], new Value(gradients), new Map([['max_norm', float(clipNorm)]]))]
      : [];
  // SGD is handed moments too, which it does not read.
  const moments = ['first_order_moments', ...(optimizer.name === 'adamw' ? ['second_order_moments'] : [])];
  const update =
    optimizer.name === 'adamw'
      ? node(
          'AdamWOptimizer',
          ['learning_rate', 'step', 'params', gradients, ...moments],
          updated,
          new Map([
            ['alpha', float(optimizer.beta1)],
            ['beta', float(optimizer.beta2)],
            ['epsilon', float(optimizer.epsilon)],
            ['weight_decay', float(optimizer.weightDecay)],
            // The order and the correction are PyTorch's.
            ['adam_mode', int(0)],
            ['correct_bias', int(1)],
          ]),
        )
      : node('SGDOptimizerV2', ['learning_rate', 'params', gradients], updated, new Map());
  return create(ModelProtoSchema, {
    irVersion: 8n,
    producerName: 'ort-tl',
    graph: {
      name: 'optimizer',
      node: [...clip, update],
      input: [
        tensorInput('learning_rate', 'float32'),
        tensorInput('step', 'int64'),
        ...['params', 'gradients', ...moments].map(sequenceInput),
      ],
      output: [protoOfValue(updated, updated.name)],
    },
    opsetImport: [
      { domain: '', version: BigInt(opset) },
      { domain: CONTRIB, version: 1n },
    ],
  });
}

function sequenceInput(name: string): ValueInfoProto {
  const elemType = { tensorType: { elemType: dtypeCode('float32') } };
  return create(ValueInfoProtoSchema, { name, type: { sequenceType: { elemType } } });
}
