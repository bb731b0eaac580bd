import { describe, expect, it } from 'vitest';
import { UserError } from '../../src/errors.js';
import { Builder } from '../../src/graph/builder.js';
import { canonicalize } from '../../src/graph/canonical.js';
import { int, ints, Node, type Shape, showShape, Value } from '../../src/graph/graph.js';
import { inferGraph } from '../../src/graph/infer.js';
import { graphOfModel, modelOfGraph } from '../../src/graph/proto.js';
import { floatTensor, intTensor, type Tensor } from '../../src/onnx/tensor.js';

const N = { batch: 1 };

/** Infers a graph of one node, as a file may hold it. */
function infer(op: string, inputs: (Shape | Tensor)[], attributes: Record<string, number | number[]> = {}): string {
  const values = inputs.map((input, index) => {
    const value = new Value(`input${index}`, 'float32', 'dims' in input ? input.dims : input);
    if ('dims' in input) [value.constant, value.dtype] = [input, input.dtype];
    return value;
  });
  const output = new Value('y');
  const entries = Object.entries(attributes).map(
    ([name, value]) => [name, typeof value === 'number' ? int(value) : ints(value)] as const,
  );
  const node = new Node({ op, name: 'odd', inputs: values, outputs: [output], attributes: new Map(entries) });
  inferGraph({ opset: 18, inputs: values, outputs: [output], nodes: [node] });
  return showShape(output.shape);
}

const zeros = (...dims: number[]) => floatTensor(dims, new Float32Array(dims.reduce((a, b) => a * b, 1)));

describe('a node of a model file is refused by its name', () => {
  it.each<[string, () => string]>([
    ['a convolution without strides', () => infer('Conv', [[N, 3, 8, 8], zeros(4, 3, 3, 3)], { strides: [0, 1] })],
    ['a convolution with too few pads', () => infer('Conv', [[N, 3, 8, 8], zeros(4, 3, 3, 3)], { pads: [1, 1] })],
    [
      'a kernel of another size than it says',
      () => infer('Conv', [[N, 3, 8, 8], zeros(4, 3, 3, 3)], { kernel_shape: [5, 5] }),
    ],
    ['groups that do not divide', () => infer('Conv', [[N, 6, 8, 8], zeros(4, 2, 3, 3)], { group: 3 })],
    ['a bias of another length', () => infer('Conv', [[N, 3, 8, 8], zeros(4, 3, 3, 3), zeros(5)])],
    ['a weight without elements', () => infer('Conv', [[N, 3, 8, 8], zeros(4, 3, 0, 2 ** 31)])],
    ['a missing input', () => infer('BatchNormalization', [[N, 3, 8, 8], zeros(3), zeros(3), zeros(3)])],
    [
      'statistics of another length',
      () => infer('BatchNormalization', [[N, 3], zeros(3), zeros(3), zeros(2), zeros(3)]),
    ],
    ['an axis that is not there', () => infer('Softmax', [[N, 3]], { axis: 2 })],
    ['a permutation that is none', () => infer('Transpose', [[N, 3, 8]], { perm: [0, 1, 1] })],
    ['a result of petabytes', () => infer('Expand', [[1], intTensor([3], [2 ** 20, 2 ** 20, 2 ** 10])])],
    [
      'a result of many dimensions',
      () =>
        infer('Unsqueeze', [
          [1],
          intTensor(
            [40],
            Array.from({ length: 40 }, (_, axis) => axis),
          ),
        ]),
    ],
    ['a negative size', () => infer('Pad', [[4], intTensor([2], [-3, -3])])],
    ['integers among floats', () => infer('Add', [[N, 3], intTensor([3], [1, 2, 3])])],
  ])('%s', (_, attempt) => {
    expect(attempt).toThrow(UserError);
    expect(attempt).toThrow(/^node "odd" \(\w+\)[^\n]*; the model file is damaged, or does what ort-tl cannot follow/);
  });

  it('and a good one is not', () => {
    expect(infer('Conv', [[N, 6, 8, 8], zeros(4, 3, 3, 3), zeros(4)], { group: 2, strides: [2, 2] })).toBe(
      '[N, 4, 3, 3]',
    );
  });
});

describe('what exporters write', () => {
  it('takes the largest int64 for "to the end", as an input and as the attribute of old operator sets', () => {
    const end: Tensor = { dtype: 'int64', dims: [1], data: BigInt64Array.of(2n ** 63n - 1n) };
    expect(infer('Slice', [[N, 9], intTensor([1], [2]), end, intTensor([1], [1])])).toBe('[N, 7]');

    const g = new Builder(9);
    const x = g.input('x', 'float32', [N, 9]);
    const y = new Value('y');
    const attributes = { starts: ints([2]), ends: ints([7]), axes: ints([1]) };
    g.graph.nodes.push(
      new Node({
        op: 'Slice',
        name: 'slice',
        inputs: [x],
        outputs: [y],
        attributes: new Map(Object.entries(attributes)),
      }),
    );
    g.graph.outputs.push(y);
    const proto = modelOfGraph(g.graph, 'old');
    const ends = proto.graph?.node[0]?.attribute.find(({ name }) => name === 'ends');
    if (ends) ends.ints = [2n ** 63n - 1n];
    const graph = graphOfModel(proto);
    canonicalize(graph);
    inferGraph(graph);
    expect(showShape(graph.outputs[0]?.shape)).toBe('[N, 7]');
  });

  it('keeps constants apart that have the same name', () => {
    const g = new Builder(18);
    const x = g.input('x', 'float32', [2]);
    const [a, b] = [1, 2].map((number) => {
      const value = new Value('same', 'float32', []);
      value.constant = floatTensor([], [number]);
      return value;
    });
    if (!a || !b) throw new Error('unreachable');
    g.output('y', g.add(g.add(x, a), b));
    const { initializer } = modelOfGraph(g.graph, 'twice').graph ?? { initializer: [] };
    expect(initializer.map(({ name }) => name)).toEqual(['same', 'same_1']);
  });

  it('refuses a name of a model that the training graph needs for itself', () => {
    const g = new Builder(18);
    g.input('labels', 'float32', [2]);
    expect(() => g.input('labels', 'int64', [2])).toThrow(/"labels".*rename it in the model/);
  });
});
