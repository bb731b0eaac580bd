import { UserError } from '../errors.js';
import { allFinite, notFinite } from '../finite.js';
import { Node, Value } from '../graph/graph.js';
import { protoOfNode, protoOfValue } from '../graph/proto.js';
import { type FreshHead, nodesOfHead, partsOfHead } from './freshHead.js';
import { hiddenNodes, hiddenOperator } from './hiddenLayers.js';
import { plainForm } from '../plain/plainForm.js';
import { type Manifest, METADATA } from './manifest.js';
import { mergedParameters } from './mergedWeights.js';
import { readsOf } from '../onnx/captured.js';
import { SHAPING } from './prepare.js';
import { USUAL_THRESHOLD } from './task.js';
import { setMetadata } from '../onnx/model.js';
import type { GraphProto, ModelProto, TensorShapeProto } from '../onnx/onnx_pb.js';
import { copyOfModel } from '../onnx/sharing.js';
import { dtypeCode, floatTensor, intTensor, protoOfTensor, type Tensor } from '../onnx/tensor.js';

/** What a manifest says of what becomes of the source model. */
export type TunedManifest = Pick<
  Manifest,
  | ('adapters' | 'classes' | 'constants' | 'freshHead' | 'heads' | 'hidden' | 'layers' | 'parameters' | 'policy')
  | ('preprocessing' | 'task' | 'thresholds')
  | ('reshapes' | 'separated' | 'source' | 'statistics' | 'version')
>;

export const TUNED_FIELDS: Readonly<Record<keyof TunedManifest, true>> = {
  adapters: true,
  task: true,
  thresholds: true,
  classes: true,
  constants: true,
  freshHead: true,
  heads: true,
  hidden: true,
  layers: true,
  parameters: true,
  policy: true,
  preprocessing: true,
  reshapes: true,
  separated: true,
  source: true,
  statistics: true,
  version: true,
};

/**
 * The source model, in its plain form, with `parameters` in place of its own, adapters merged into the matrices that they stand beside, and
 * what a program needs to use it in its metadata: `labels` and
 * `preprocessing`, both JSON.
 * @throws UserError `unsupported-model` when a parameter cannot be found in the source, `not-finite` when a value is no number.
 */
export function tunedModel(
  source: ModelProto,
  manifest: TunedManifest,
  parameters: ReadonlyMap<string, Tensor>,
): ModelProto {
  const model = copyOfModel(plainForm(source, manifest.source.file, manifest.source.output).proto);
  const { graph } = model;
  if (!graph) throw new Error('the model has no graph');
  // Before format version 4 every initializer is also an input, with its shape.
  const declares = model.irVersion < 4n;
  if (manifest.freshHead) putHead(graph, manifest.freshHead);
  setReshapes(graph, manifest, declares);
  const values = mergedParameters(graph, manifest, parameters);
  readWhole(graph, new Set(values.keys()));
  insertHidden(graph, manifest);
  const added = readSeparated(graph, manifest);
  for (const { name, shape, values } of manifest.constants) {
    const value = floatTensor(shape, values);
    declare(graph, name, value, declares);
    setParameter(graph, name, value, added);
  }
  for (const [name, value] of values) {
    if (value.data instanceof Float32Array && !allFinite(value.data))
      throw notFinite(`the trained parameter "${name}" has values that are no numbers`);
    declare(graph, name, value, declares);
    setParameter(graph, name, value, added);
  }
  // ONNX Runtime wants every input that is declared, also one that nothing reads.
  const read = new Set(graph.node.flatMap(({ input }) => input));
  const constants = new Set(declares ? graph.initializer.map(({ name }) => name) : []);
  graph.input = graph.input.filter(({ name }) => read.has(name) || constants.has(name));
  setOutputs(graph, manifest.classes.length);
  if (manifest.task === 'labels') endInSigmoid(graph);
  const { width, height, resize, cropShare, mean, std } = manifest.preprocessing;
  // The source may be one of several labels, whatever this one is.
  model.metadataProps = model.metadataProps.filter(({ key }) => key !== METADATA.task && key !== METADATA.thresholds);
  setMetadata(
    model,
    new Map([
      [METADATA.labels, JSON.stringify(manifest.classes)],
      // In an order of its own, so that the same model has the same bytes.
      [METADATA.preprocessing, JSON.stringify({ width, height, resize, cropShare, mean, std })],
      ...taskMetadata(manifest),
      [METADATA.policy, manifest.policy],
      [METADATA.source, manifest.source.sha256],
      [METADATA.version, manifest.version],
    ]),
  );
  return model;
}

/** What tells a model of several labels apart from one of classes, whose metadata says nothing of it. */
function taskMetadata({ task, classes, thresholds }: TunedManifest): [string, string][] {
  if (task === 'classes') return [];
  return [
    [METADATA.task, task],
    [METADATA.thresholds, JSON.stringify(thresholds ?? classes.map(() => USUAL_THRESHOLD))],
  ];
}

/** Has a model that made shares of all classes together make one of each by itself; one that gave logarithms of shares gives logits. */
function endInSigmoid(graph: GraphProto): void {
  const producers = new Map(graph.node.flatMap((node) => node.output.map((output) => [output, node] as const)));
  for (const { name } of graph.output) {
    if (!isLogits(graph, name)) continue;
    let node = producers.get(name);
    while (node && SHAPING.has(node.opType)) node = producers.get(node.input[0] ?? '');
    if (node?.opType !== 'Softmax' && node?.opType !== 'LogSoftmax' && node?.opType !== 'HardSigmoid') continue;
    node.opType = node.opType === 'LogSoftmax' ? 'Identity' : 'Sigmoid';
    node.attribute = [];
  }
}

/** Gives an initializer an input of its shape, in place of the one that it may have; `always`, or only where it has one. */
function declare(graph: GraphProto, name: string, { dtype, dims }: Tensor, always: boolean): void {
  if (!always && !graph.input.some((input) => input.name === name)) return;
  graph.input = [
    ...graph.input.filter((input) => input.name !== name),
    protoOfValue(new Value(name, dtype, dims), name),
  ];
}

/** Puts a new head on a value, and takes away what nothing reads any more. */
function putHead(graph: GraphProto, head: FreshHead): void {
  const { nodes, output } = nodesOfHead(head, new Value(head.on));
  graph.node.push(...nodes.map((node) => protoOfNode(node)));
  const batch = batchOf(graph);
  const scores = protoOfValue(new Value(output.name, 'float32', [{ batch: 1 }, 2]), output.name);
  const [images] = scores.type?.tensorType?.shape?.dim ?? [];
  if (images && batch) images.value = batch.value;
  graph.output = [scores];
  const read = new Set([output.name]);
  graph.node = graph.node
    .toReversed()
    .filter((node) => {
      if (!node.output.some((name) => read.has(name))) return false;
      for (const name of readsOf(node)) read.add(name);
      return true;
    })
    .reverse();
  graph.initializer = graph.initializer.filter(({ name }) => read.has(name));
}

/** Gives the nodes whose results' shapes the model states, such as Reshapes behind the head, their shapes for the new classes. */
function setReshapes(graph: GraphProto, { reshapes, classes }: TunedManifest, declares: boolean): void {
  for (const { node: reshape, shape } of reshapes) {
    const node = graph.node.find(
      (each) => (each.name || each.output[0]) === reshape && ['Expand', 'Reshape'].includes(each.opType),
    );
    if (!node) throw new UserError('unsupported-model', `the source model has no Reshape or Expand "${reshape}"`);
    const name = `${reshape}/shape_for_${classes.length}`;
    const target = intTensor([shape.length], shape);
    declare(graph, name, target, declares);
    // A model that was tuned before may have one of this name.
    graph.initializer = [...graph.initializer.filter((each) => each.name !== name), protoOfTensor(name, target)];
    node.input[1] = name;
  }
}

/**
 * Has nodes read parameters that a Cast makes float32 of without it: they are float32 themselves now. What is frozen stays as the
 * source model stores it.
 */
function readWhole(graph: GraphProto, names: ReadonlySet<string>): void {
  const outputs = new Set(graph.output.map(({ name }) => name));
  const parameterOf = new Map<string, string>();
  graph.node = graph.node.filter(({ opType, domain, input: [from = ''], output: [to = ''], attribute }) => {
    if (opType !== 'Cast' || (domain !== '' && domain !== 'ai.onnx') || !names.has(from) || outputs.has(to))
      return true;
    if (!attribute.some(({ name, i }) => name === 'to' && i === BigInt(dtypeCode('float32')))) return true;
    parameterOf.set(to, from);
    return false;
  });
  for (const node of graph.node) node.input = node.input.map((name) => parameterOf.get(name) ?? name);
}

/** Has nodes read parameters of their own where they shared them. Gives the names of those that the source model lacks. */
function readSeparated(graph: GraphProto, manifest: TunedManifest): Set<string> {
  const { constants, freshHead, hidden, separated, statistics } = manifest;
  const added = new Set(hidden.flatMap(({ weight, bias }) => [weight, bias]));
  if (freshHead) added.add(partsOfHead(freshHead).weight).add(partsOfHead(freshHead).bias);
  for (const { name, node: reader, input } of [...separated, ...statistics, ...constants]) {
    const node = graph.node.find((each) => (each.name || each.output[0]) === reader);
    if (!node) throw new UserError('unsupported-model', `the source model has no node "${reader}"`);
    if (node.input[input] === name) continue;
    node.input[input] = name;
    added.add(name);
  }
  return added;
}

/** Puts a parameter in the place of the source model's, or adds it where it is among those that are `added`. */
function setParameter(graph: GraphProto, name: string, value: Tensor, added: ReadonlySet<string>): void {
  const index = graph.initializer.findIndex((initializer) => initializer.name === name);
  if (index >= 0) {
    graph.initializer[index] = protoOfTensor(name, value);
    return;
  }
  if (!added.has(name)) {
    // A Constant node, an Identity that shared one initializer between parameters that were equal at first, or a Cast of what others read too.
    const producer = graph.node.findIndex(
      ({ opType, output }) => output[0] === name && ['Cast', 'Constant', 'Identity'].includes(opType),
    );
    const node = graph.node[producer];
    if (node?.opType === 'Constant' && !graph.input.some((input) => input.name === name)) {
      node.attribute = protoOfNode(constantNode(value)).attribute;
      return;
    }
    if (producer < 0) throw new UserError('unsupported-model', `the source model holds no parameter "${name}"`);
    graph.node.splice(producer, 1);
  }
  graph.initializer.push(protoOfTensor(name, value));
}

const constantNode = (value: Tensor) =>
  new Node({
    op: 'Constant',
    name: '',
    inputs: [],
    outputs: [],
    attributes: new Map([['value', { kind: 'tensor', value }]]),
  });

/** Gives the logits their new number of classes. Shapes that were written for the old head no longer hold. */
function setOutputs(graph: GraphProto, classes: number): void {
  graph.valueInfo = [];
  for (const output of graph.output) {
    if (!isLogits(graph, output.name)) continue;
    const type = output.type?.tensorType;
    const dims = type?.shape?.dim;
    const last = dims?.at(-1);
    if (dims?.length === 2 && last) last.value = { case: 'dimValue', value: BigInt(classes) };
    // ONNX Runtime cannot tell it of every model that does not say it.
    if (type && !dims) type.shape = rowShape(graph, classes);
  }
}

/** [images, classes]: as many images as the model takes. */
function rowShape(graph: GraphProto, classes: number): TensorShapeProto | undefined {
  const shape = protoOfValue(new Value('', 'float32', [{ batch: 1 }, classes]), '').type?.tensorType?.shape;
  const [images] = shape?.dim ?? [];
  const taken = batchOf(graph);
  if (images && taken) images.value = taken.value;
  return shape;
}

function batchOf({ input, initializer }: GraphProto) {
  const image = input.find(({ name }) => !initializer.some((each) => each.name === name));
  return image?.type?.tensorType?.shape?.dim[0];
}

/** Puts the hidden layers before the node that reads the head's weight. */
function insertHidden(graph: GraphProto, { heads, hidden, layers }: TunedManifest): void {
  if (hidden.length === 0) return;
  const weight = layers.at(-1)?.parameters[0];
  const [name] = heads;
  // What an earlier version wrote names no heads.
  const index = graph.node.findIndex((node) =>
    name === undefined ? weight !== undefined && node.input[1] === weight : (node.name || node.output[0]) === name,
  );
  const head = graph.node[index];
  if (!head) throw new UserError('unsupported-model', `the source model has no node "${name ?? weight ?? ''}"`);
  const { nodes, output } = hiddenNodes(hiddenOperator(head.opType), new Value(head.input[0] ?? ''), hidden);
  head.input[0] = output.name;
  graph.node.splice(index, 0, ...nodes.map((node) => protoOfNode(node)));
}

/** Whether no node reads the output: features that a model also gives are read by its head. */
function isLogits(graph: GraphProto, name: string): boolean {
  return !graph.node.some(({ input }) => input.includes(name));
}
