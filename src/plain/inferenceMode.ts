import { opsetOf } from '../onnx/model.js';
import { readsOf } from '../onnx/captured.js';
import type { GraphProto, NodeProto } from '../onnx/onnx_pb.js';
import type { Draft } from './draft.js';
import { constantsOf, givenInputs, intOf, isOneOf, nodesBefore, numbersOf, replaceReads, shown } from './nodes.js';

/** Since this operator set an attribute says that a BatchNormalization trains; before, its outputs behind the first did. */
const SAYS_MODE = 14;

/**
 * Takes nodes that were exported in training mode as they are for inference: BatchNormalizations with the statistics that they have
 * kept, Dropouts without dropping out. A BatchNormalization that standardizes weights (NFNet, BiT) stays: its statistics are those of the
 * weights, whatever the batch.
 */
export function inferenceMode(draft: Draft): void {
  const opset = opsetOf(draft.model);
  const normalizes = (node: NodeProto) => trains(node, opset) && readsImages(node.input[0] ?? '', draft.graph);
  const isTraining = (node: NodeProto) => normalizes(node) || dropsOut(node, draft);
  if (!draft.graph.node.some(isTraining)) return;
  const graph = draft.edit();
  const constants = constantsOf(graph);
  const normalizing: NodeProto[] = [];
  const dropping: NodeProto[] = [];
  const names = new Map<string, string>();
  for (const node of graph.node) {
    if (normalizes(node)) {
      normalizing.push(node);
      const [, mean, variance] = node.output;
      // What it says of the statistics is what it has kept of them.
      if (mean) names.set(mean, node.input[3] ?? '');
      if (variance) names.set(variance, node.input[4] ?? '');
      node.output = node.output.slice(0, 1);
      node.attribute = node.attribute.filter(({ name }) => name !== 'training_mode' && name !== 'momentum');
    } else if (dropsOut(node, draft)) {
      dropping.push(node);
      node.input = node.input.slice(0, 2);
    }
  }
  replaceReads(graph, names);
  graph.output = graph.output.filter(({ name }) => !names.has(name));
  tell(draft, normalizing, dropping);
  const blank = normalizing.find(
    ({ input }) =>
      isAll(numbersOf(constants.get(input[3] ?? '')), 0) && isAll(numbersOf(constants.get(input[4] ?? '')), 1),
  );
  if (blank)
    draft.warnings.push(
      `${shown(blank)} has kept no statistics: its mean is 0 and its variance 1 everywhere, as before a training; if the model gives nonsense, export it with statistics`,
    );
}

function trains(node: NodeProto, opset: number): boolean {
  if (!isOneOf(node, 'BatchNormalization')) return false;
  return opset >= SAYS_MODE
    ? intOf(node, 'training_mode', 0) === 1
    : node.output.filter((name) => name !== '').length > 1;
}

/** Whether a value depends on what a program gives. */
function readsImages(name: string, graph: GraphProto): boolean {
  const given = new Set(givenInputs(graph).map((input) => input.name));
  return given.has(name) || nodesBefore(graph, [name]).some((node) => readsOf(node).some((each) => given.has(each)));
}

/** Whether a Dropout drops out, or may: its third input says so (operator set 12). */
function dropsOut(node: NodeProto, { graph }: Draft): boolean {
  const mode = isOneOf(node, 'Dropout') ? node.input[2] : undefined;
  return mode !== undefined && mode !== '' && !isAll(numbersOf(constantsOf(graph).get(mode)), 0);
}

const isAll = (numbers: readonly number[] | undefined, value: number) =>
  numbers !== undefined && numbers.length > 0 && numbers.every((each) => each === value);

function tell(draft: Draft, normalizing: readonly NodeProto[], dropping: readonly NodeProto[]): void {
  const others = (nodes: readonly NodeProto[]) => (nodes.length > 1 ? ` and ${nodes.length - 1} more` : '');
  const [norm] = normalizing;
  if (norm)
    draft.warnings.push(
      `${shown(norm)}${others(normalizing)} was exported in training mode, with the statistics of each batch; it is taken in inference mode, with the statistics that it has kept, which gives other scores than the file does`,
    );
  const [dropout] = dropping;
  if (dropout)
    draft.warnings.push(
      `${shown(dropout)}${others(dropping)} was exported in training mode, where it drops out at random; it is taken without dropping out`,
    );
}
