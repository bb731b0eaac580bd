import { UserError } from '../errors.js';
import { opsetOf } from '../onnx/model.js';
import type { NodeProto } from '../onnx/onnx_pb.js';
import { floats, floatTensor, protoOfTensor } from '../onnx/tensor.js';
import { ComputedConstants } from './computedConstants.js';
import type { Draft } from './draft.js';
import { constantsOf, floatOf, intOf, isOneOf, numbersOf, replaceReads, shown } from './nodes.js';

/** Since this operator set an attribute says that a BatchNormalization trains; before, its outputs behind the first did. */
const SAYS_MODE = 14;

/**
 * Takes nodes that were exported in training mode as they are for inference: BatchNormalizations with the statistics that they have
 * kept, Dropouts without dropping out. A BatchNormalization that standardizes weights is computed once.
 * @throws UserError `training-mode` for a BatchNormalization of weights that cannot be computed.
 */
export function inferenceMode(draft: Draft): void {
  const opset = opsetOf(draft.model);
  const isTraining = (node: NodeProto) => trains(node, opset) || dropsOut(node, draft);
  if (!draft.graph.node.some(isTraining)) return;
  const graph = draft.edit();
  standardizeWeights(draft, opset);
  const constants = constantsOf(graph);
  const normalizing: NodeProto[] = [];
  const dropping: NodeProto[] = [];
  const names = new Map<string, string>();
  for (const node of graph.node) {
    if (trains(node, opset)) {
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
      `${shown(norm)}${others(normalizing)} was exported in training mode, with the statistics of each batch; it is trained with and exported in inference mode, with the statistics that it has kept, which gives other scores than the file does`,
    );
  const [dropout] = dropping;
  if (dropout)
    draft.warnings.push(
      `${shown(dropout)}${others(dropping)} was exported in training mode, where it drops out at random; it is trained with and exported without dropping out`,
    );
}

/** Computes BatchNormalizations in training mode whose data are weights: their statistics are those of the weights (NFNet, BiT). */
function standardizeWeights(draft: Draft, opset: number): void {
  const graph = draft.edit();
  for (const node of graph.node.filter((each) => trains(each, opset))) {
    const computed = new ComputedConstants(graph);
    const [input = '', scale = '', shift = ''] = node.input;
    if (!computed.isConstant(input)) continue;
    const [weights, scales, shifts] = [input, scale, shift].map((name) => computed.value(name));
    if (!weights || !scales || !shifts || weights.dims.length < 2)
      throw new UserError(
        'training-mode',
        `${shown(node)} of ${draft.path} standardizes weights that are computed in a way that ort-tl does not follow; export the model with constant folding`,
      );
    const standardized = standardize(
      floats(weights),
      weights.dims,
      { scales: floats(scales), shifts: floats(shifts) },
      floatOf(node, 'epsilon', 1e-5),
    );
    graph.node = graph.node.filter((each) => each !== node);
    graph.initializer.push(protoOfTensor(node.output[0] ?? '', floatTensor(weights.dims, standardized)));
    draft.notes.push(`${shown(node)} standardizes weights; that is computed once, and what comes of it is the weight`);
  }
}

/** (x − mean)·scale/√(variance + ε) + shift, by the statistics of x [N, C, …] over each of C. */
function standardize(
  x: Float32Array,
  [batch = 1, channels = 1, ...rest]: readonly number[],
  { scales, shifts }: { readonly scales: Float32Array; readonly shifts: Float32Array },
  epsilon: number,
): Float32Array {
  const area = rest.reduce((product, dim) => product * dim, 1);
  const result = new Float32Array(x.length);
  for (let channel = 0; channel < channels; channel++) {
    const places = Array.from({ length: batch * area }, (_, index) => {
      const image = Math.floor(index / area);
      return (image * channels + channel) * area + (index % area);
    });
    const mean = places.reduce((sum, place) => sum + (x[place] ?? 0), 0) / places.length;
    const variance = places.reduce((sum, place) => sum + ((x[place] ?? 0) - mean) ** 2, 0) / places.length;
    const gain = (scales[channel] ?? 1) / Math.sqrt(variance + epsilon);
    for (const place of places) result[place] = ((x[place] ?? 0) - mean) * gain + (shifts[channel] ?? 0);
  }
  return result;
}
