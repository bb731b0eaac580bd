import { describe, expect, it } from 'vitest';
import { UserError } from '../../src/errors.js';
import { Builder } from '../../src/graph/builder.js';
import { inOpset } from '../../src/graph/earlierOpset.js';
import { type Attribute, float, int, ints, type Node, text, type Value } from '../../src/graph/graph.js';
import { floatTensor } from '../../src/onnx/tensor.js';

/** What the last node of a graph of operator set 18 becomes in an earlier one. */
function inEarlier(to: number, build: (g: Builder, x: Value) => Value): Node {
  const g = new Builder(18);
  build(g, g.input('x', 'float32', [2, 3, 4]));
  const graph = inOpset(g.graph, to);
  expect(graph.opset).toBe(to);
  expect(g.graph.opset).toBe(18);
  const node = graph.nodes.at(-1);
  if (!node) throw new Error('no node');
  return node;
}

const shown = ({ inputs, attributes }: Node) => [
  inputs.length,
  Object.fromEntries([...attributes].map(([name, { value }]) => [name, value])),
];
const floats = (g: Builder, ...numbers: number[]) => g.constant('numbers', floatTensor([numbers.length], numbers));
const op =
  (name: string, attributes: Record<string, Attribute> = {}) =>
  (g: Builder, x: Value) =>
    g.op(name, [x], attributes);

// The operators' histories: onnx/docs/Changelog.md.
describe('in an earlier operator set', () => {
  it.each<[string, number, number, Record<string, unknown>, (g: Builder, x: Value) => Value]>([
    ['ReduceMean of set 18', 18, 2, { keepdims: 0 }, (g, x) => g.reduceMean(x, [1], false)],
    ['ReduceMean of set 17', 17, 1, { axes: [1], keepdims: 0 }, (g, x) => g.reduceMean(x, [1], false)],
    ['ReduceMean of all', 17, 1, { keepdims: 1 }, (g, x) => g.reduceMean(x)],
    ['ReduceMean of no axes, which stand for all', 17, 1, {}, (g, x) => g.op('ReduceMean', [x, g.vector([])])],
    [
      'ReduceMean that says how no axes are meant, and has some',
      17,
      1,
      { axes: [1] },
      (g, x) => g.op('ReduceMean', [x, g.vector([1])], { noop_with_empty_axes: int(1) }),
    ],
    ['ReduceSum of set 13', 13, 2, { keepdims: 1 }, (g, x) => g.reduceSum(x, [1])],
    ['ReduceSum of set 12', 12, 1, { axes: [1], keepdims: 1 }, (g, x) => g.reduceSum(x, [1])],
    ['Squeeze of set 13', 13, 2, {}, (g, x) => g.squeeze(g.reduceMean(x, [1]), [1])],
    ['Squeeze of set 12', 12, 1, { axes: [1] }, (g, x) => g.squeeze(g.reduceMean(x, [1]), [1])],
    ['Unsqueeze of set 12', 12, 1, { axes: [0, 2] }, (g, x) => g.unsqueeze(x, [0, 2])],
    ['Clip of set 11', 11, 3, {}, (g, x) => g.op('Clip', [x, g.scalar(-1), g.scalar(2)])],
    ['Clip of set 10', 10, 1, { min: -1, max: 2 }, (g, x) => g.op('Clip', [x, g.scalar(-1), g.scalar(2)])],
    ['Clip of set 10 without a lower bound', 10, 1, { max: 2 }, (g, x) => g.op('Clip', [x, undefined, g.scalar(2)])],
    ['Slice of set 10', 10, 4, {}, (g, x) => g.slice(x, [0], [1], [1])],
    ['Slice of set 9', 9, 1, { starts: [0], ends: [1], axes: [1] }, (g, x) => g.slice(x, [0], [1], [1])],
    ['Pad of set 11', 11, 2, {}, (g, x) => g.pad(x, [0, 0, 1, 0, 0, 1])],
    ['Pad of set 10', 10, 1, { pads: [0, 0, 1, 0, 0, 1], value: 0 }, (g, x) => g.pad(x, [0, 0, 1, 0, 0, 1])],
    [
      'Pad of set 10 with a number',
      10,
      1,
      { pads: [0, 0, 1, 0, 0, 1], value: 3 },
      (g, x) => g.op('Pad', [x, g.vector([0, 0, 1, 0, 0, 1]), g.scalar(3)]),
    ],
    ['Split of set 18', 18, 1, { num_outputs: 1 }, op('Split', { num_outputs: int(1) })],
    ['Split of set 17', 17, 1, {}, op('Split', { num_outputs: int(1) })],
    ['Split of set 12', 12, 1, { split: [2] }, (g, x) => g.op('Split', [x, g.vector([2])])],
    [
      'Reshape of set 14',
      14,
      2,
      { allowzero: 0 },
      (g, x) => g.op('Reshape', [x, g.vector([6, 4])], { allowzero: int(0) }),
    ],
    ['Reshape of set 13', 13, 2, {}, (g, x) => g.op('Reshape', [x, g.vector([6, 4])], { allowzero: int(0) })],
    // What cannot be said there is left for the loading of the graph to tell.
    [
      'Reshape of set 13 that means zeros',
      13,
      2,
      { allowzero: 1 },
      (g, x) => g.op('Reshape', [x, g.vector([6, 4])], { allowzero: int(1) }),
    ],
    ['Cast of set 18', 18, 1, { to: 1 }, op('Cast', { to: int(1), saturate: int(1) })],
    ['BatchNormalization of set 14', 14, 1, { training_mode: 0 }, op('BatchNormalization', { training_mode: int(0) })],
    ['BatchNormalization of set 13', 13, 1, {}, op('BatchNormalization', { training_mode: int(0) })],
    ['Softmax of set 13', 13, 1, { axis: 1 }, op('Softmax', { axis: int(1) })],
    ['Softmax of set 12', 12, 1, { axis: 2 }, op('Softmax')],
    ['Softmax of set 12 along the last axis', 12, 1, { axis: 2 }, op('Softmax', { axis: int(-1) })],
    ['Softmax of set 12 along the last axis, counted', 12, 1, { axis: 2 }, op('Softmax', { axis: int(2) })],
    ['Resize of set 13', 13, 3, {}, (g, x) => g.op('Resize', [x, undefined, floats(g, 1, 1, 2)])],
    [
      'Resize of set 18',
      18,
      3,
      { axes: [2] },
      (g, x) => g.op('Resize', [x, undefined, floats(g, 2)], { axes: ints([2]) }),
    ],
    ['an operator of all times', 9, 1, {}, (g, x) => g.relu(x)],
    ['what another domain has', 9, 2, {}, (g, x) => g.op('Squeeze', [x, g.vector([1])], {}, { domain: 'my.ops' })],
  ])('%s is written for set %d with %d inputs and %j', (_, to, inputs, attributes, build) => {
    expect(shown(inEarlier(to, build))).toEqual([inputs, attributes]);
  });

  it.each<[RegExp, number, (g: Builder, x: Value) => Value]>([
    [/\(Slice\) cannot be written in operator set 9: it takes steps/, 9, (g, x) => g.slice(x, [0], [2], [1], [2])],
    [/\(Pad\) .* it names axes/, 10, (g, x) => g.op('Pad', [x, g.vector([1, 1]), undefined, g.vector([2])])],
    [/\(ReduceMean\) .* its input 1 is computed/, 17, (g, x) => g.op('ReduceMean', [x, g.cast(x, 7)])],
    [/\(Clip\) .* its input 2 is computed/, 10, (g, x) => g.op('Clip', [x, undefined, g.reduceMean(x)])],
    [/\(ReduceMean\) .* it reduces nothing/, 17, op('ReduceMean', { noop_with_empty_axes: int(1) })],
    [/\(Resize\) .* counted otherwise/, 12, (g, x) => g.op('Resize', [x, undefined, floats(g, 1, 1, 2)])],
    ...(
      [
        ['antialias', int(1)],
        ['axes', ints([2])],
        ['keep_aspect_ratio_policy', text('not_larger')],
      ] as const
    ).map(([name, value]): [RegExp, number, (g: Builder, x: Value) => Value] => [
      /\(Resize\) .* it names axes, or smooths/,
      17,
      (g, x) => g.op('Resize', [x, undefined, floats(g, 2)], { axes: ints([2]), [name]: value }),
    ]),
    [/\(Softmax\) .* along another axis than the last/, 12, op('Softmax', { axis: int(1) })],
    [/\(Softmax\) .* along another axis than the last/, 12, (g, x) => g.softmax(g.op('NobodyKnows', [x]), -1)],
  ])('is refused: %s', (message, to, build) => {
    expect(() => inEarlier(to, build)).toThrow(UserError);
    expect(() => inEarlier(to, build)).toThrow(message);
  });

  it('takes what needs a later set as it is in that set', () => {
    const node = inEarlier(18, (g, x) =>
      g.op('Resize', [x, undefined, floats(g, 2)], { axes: ints([2]), antialias: int(1) }),
    );
    expect(node.int('antialias', 0)).toBe(1);
    expect(inEarlier(18, op('Elu', { alpha: float(2) })).float('alpha', 1)).toBe(2);
  });
});
