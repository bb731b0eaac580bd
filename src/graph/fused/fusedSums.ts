import { MICROSOFT } from '../domains.js';
import { float, int, type Value } from '../graph.js';
import { type Decomposition, NotDecomposable } from './decomposition.js';

// Sums that ONNX Runtime's own operators compute together with what follows them.

/** (x + bias), then Gelu. */
export function biasGelu(d: Decomposition): void {
  const [x, bias] = two(d);
  d.finish(d.op('Gelu', [d.add(x, bias, 1)], {}, { domain: MICROSOFT }));
}

/** (x + bias) in two halves, the first times the Gelu of the second. */
export function biasSplitGelu(d: Decomposition): void {
  const [x, bias] = two(d);
  const half = d.length(x, -1) / 2;
  const [left, right] = d.split(d.add(x, bias, 1), -1, [half, half]);
  if (!left || !right) throw new Error('unreachable');
  d.finish(d.mul(left, d.op('Gelu', [right], {}, { domain: MICROSOFT })));
}

/** x + bias + skip. */
export function biasAdd(d: Decomposition): void {
  const [x, bias] = two(d);
  d.finish(d.add(d.add(x, bias, 1), d.node.input(2)));
}

/** The layer normalization, or RMS normalization, of (x + skip + bias), and that sum as the fourth result. */
export const skipNormalization =
  (isCentered: boolean) =>
  (d: Decomposition, isRead: (value: Value) => boolean): void => {
    const { node } = d;
    const [x, skip, scale] = [node.input(0), node.input(1), node.input(2)];
    const [, , , fourth, fifth] = node.inputs;
    const bias = isCentered ? fifth : fourth;
    const [, mean, deviation, summed] = node.outputs;
    if ([mean, deviation].some((output) => output && isRead(output))) throw new NotDecomposable('statistics are read');
    let sum = d.add(x, skip);
    if (bias) sum = d.add(sum, bias, isCentered ? 4 : 3);
    if (summed && isRead(summed)) sum = d.op('Identity', [sum], {}, { output: summed });
    const epsilon = float(node.float('epsilon', isCentered ? 1e-12 : 1e-6));
    const shift = isCentered ? fourth : undefined;
    const inputs = shift ? [sum, scale, shift] : [sum, scale];
    const op = isCentered ? 'LayerNormalization' : 'SimplifiedLayerNormalization';
    d.finish(d.op(op, inputs, { axis: int(-1), epsilon }, { name: node.name, places: { 1: 2, 2: 3 } }));
  };

/** α·a·b, either turned round. */
export function fusedMatMul(d: Decomposition): void {
  const { node } = d;
  if (node.int('transBatchA', 0) === 1 || node.int('transBatchB', 0) === 1) throw new NotDecomposable('turned batches');
  const turned = (value: Value, name: string) => {
    if (node.int(name, 0) === 0) return value;
    const rank = value.shape?.length ?? 0;
    if (rank < 2) throw new NotDecomposable('a vector that is turned');
    const axes = Array.from({ length: rank }, (_, axis) => axis);
    return d.transpose(value, [...axes.slice(0, -2), rank - 1, rank - 2]);
  };
  const product = d.op(
    'MatMul',
    [turned(node.input(0), 'transA'), turned(node.input(1), 'transB')],
    {},
    { name: node.name, places: { 1: 1 } },
  );
  d.finish(d.scaled(product, node.float('alpha', 1)));
}

function two({ node }: Decomposition): [Value, Value] {
  return [node.input(0), node.input(1)];
}
