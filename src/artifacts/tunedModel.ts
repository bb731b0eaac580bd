import { clone } from '@bufbuild/protobuf';
import { UserError } from '../errors.js';
import type { Manifest } from './manifest.js';
import { setMetadata } from '../onnx/model.js';
import { type ModelProto, ModelProtoSchema } from '../onnx/onnx_pb.js';
import { protoOfTensor, type Tensor } from '../onnx/tensor.js';

/** Keys of an exported model's metadata. */
export const METADATA = {
  labels: 'labels',
  preprocessing: 'preprocessing',
  policy: 'ort_tl.policy',
  source: 'ort_tl.source_sha256',
  version: 'ort_tl.version',
} as const;

/**
 * The source model with `parameters` in place of its own, and what a program needs to use it in its metadata: `labels` and
 * `preprocessing`, both JSON.
 * @throws UserError `unsupported-model` when a parameter cannot be found in the source.
 */
export function tunedModel(
  source: ModelProto,
  manifest: Manifest,
  parameters: ReadonlyMap<string, Tensor>,
): ModelProto {
  const model = clone(ModelProtoSchema, source);
  const { graph } = model;
  if (!graph) throw new Error('the model has no graph');
  for (const { name } of manifest.parameters) {
    const value = parameters.get(name);
    if (!value) throw new Error(`the checkpoint lacks "${name}"`);
    const index = graph.initializer.findIndex((initializer) => initializer.name === name);
    if (index >= 0) {
      graph.initializer[index] = protoOfTensor(name, value);
      continue;
    }
    // A Constant node, or an Identity that shared one initializer between parameters that were equal at first.
    const producer = graph.node.findIndex(
      (node) => node.output[0] === name && (node.opType === 'Constant' || node.opType === 'Identity'),
    );
    if (producer < 0) throw new UserError('unsupported-model', `the source model holds no parameter "${name}"`);
    graph.node.splice(producer, 1);
    graph.initializer.push(protoOfTensor(name, value));
  }
  // Shapes written for the old head no longer hold.
  graph.valueInfo = [];
  const classes = BigInt(manifest.classes.length);
  for (const output of graph.output) {
    const dims = output.type?.tensorType?.shape?.dim;
    const last = dims?.at(-1);
    if (dims?.length === 2 && last && isLogits(model, output.name)) last.value = { case: 'dimValue', value: classes };
  }
  setMetadata(
    model,
    new Map([
      [METADATA.labels, JSON.stringify(manifest.classes)],
      [METADATA.preprocessing, JSON.stringify(manifest.preprocessing)],
      [METADATA.policy, manifest.policy],
      [METADATA.source, manifest.source.sha256],
      [METADATA.version, manifest.version],
    ]),
  );
  return model;
}

/** Whether no node reads the output: features that a model also gives are read by its head. */
function isLogits(model: ModelProto, name: string): boolean {
  return !model.graph?.node.some(({ input }) => input.includes(name));
}
