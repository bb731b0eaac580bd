import { int, ints, type Node, text, type Value } from '../graph.js';
import { concat, expand, gather, pad, resize, slice, split, tile } from './partRules.js';
import { gemm, matmul } from './productRules.js';
import { NotStackable, type Stack } from './stack.js';

/** Appends to a stack what a node of one image becomes. Its inputs that hold shapes and places are constants. */
export type StackingRule = (node: Node, stack: Stack) => void;

/** It works on each item of the first axis by itself, with weights that are the same for all. */
const onItems: StackingRule = (node, stack) => {
  if (node.inputs.slice(1).some(stack.isStacked)) throw new NotStackable(node);
  stack.keep(node);
};

/** It works on each element by itself, or on elements of inputs of one shape. */
const onElements: StackingRule = (node, stack) => stack.keep(node);

/** It stretches its inputs to each other's shapes, which end alike. */
const onStretched: StackingRule = (node, stack) => {
  const shape = stack.shapeOf(node, node.output());
  const rank = shape.length;
  const isAlike = (input: Value | undefined) => {
    if (!input) return true;
    const own = stack.shapeOf(node, input);
    return stack.isStacked(input)
      ? own.length === rank && (rank === 0 || own[0] === shape[0])
      : own.length < rank || rank === 0 || own[0] === 1;
  };
  if (node.inputs.every(isAlike)) {
    stack.keep(node);
    return;
  }
  // With 1 in front for all of them, that is where the images are.
  const padded = (input: Value) => {
    const own = stack.shapeOf(node, input);
    return [...Array.from({ length: rank - own.length }, () => 1), ...own];
  };
  const isSingle = node.inputs.every((input) => !input || padded(input)[0] === 1);
  const inputs = node.inputs.map((input) =>
    stack.isStacked(input) ? stack.apart(node, input, isSingle ? padded(input).slice(1) : padded(input)) : input,
  );
  if (isSingle && rank > 0) stack.keep(node.with({ inputs }));
  else stack.keepApart(node, inputs);
};

/** It works along the axis that its attribute says. */
const alongAxis =
  (usual: number): StackingRule =>
  (node, stack) => {
    const rank = stack.shapeOf(node, node.input(0)).length;
    const axis = wrapped(node.int('axis', usual), rank);
    if (node.inputs.slice(1).some(stack.isStacked)) throw new NotStackable(node);
    const along = new Map([...node.attributes, ['axis', int(1)]]);
    if (axis > 0) stack.keep(node);
    else stack.keepApart(node, [stack.apart(node, node.input(0)), ...node.inputs.slice(1)], along);
  };

const wrapped = (axis: number, rank: number) => (axis < 0 ? axis + rank : axis);

const reduce: StackingRule = (node, stack) => {
  const rank = stack.shapeOf(node, node.input(0)).length;
  const given = node.inputs[1] ? stack.constantOf(node, 1) : [];
  if (given.length === 0 && node.int('noop_with_empty_axes', 0) === 1) {
    stack.keep(node);
    return;
  }
  const axes = (given.length === 0 ? Array.from({ length: rank }, (_, axis) => axis) : given).map((axis) =>
    wrapped(axis, rank),
  );
  if (!axes.includes(0)) {
    stack.keep(node);
    return;
  }
  const [first] = stack.shapeOf(node, node.input(0));
  const others = axes.filter((axis) => axis !== 0);
  if (first === 1 && others.length > 0 && node.int('keepdims', 1) === 1) {
    stack.keep(node.with({ inputs: [node.input(0), stack.ints(others)] }));
    return;
  }
  stack.keepApart(node, [stack.apart(node, node.input(0)), stack.ints(axes.map((axis) => axis + 1))]);
};

const LETTERS = Array.from('abcdefghijklmnopqrstuvwxyz');

/** Sums over letters: images get a letter of their own, unless the first one is theirs. */
const einsum: StackingRule = (node, stack) => {
  const [terms = '', result = ''] = node.string('equation', '').replaceAll(' ', '').split('->');
  const operands = terms.split(',');
  const [images = ''] = result;
  const isTheirs = operands.every((term, index) =>
    stack.isStacked(node.inputs[index]) ? term[0] === images : !term.includes(images),
  );
  const isPlain = result !== '' && !node.string('equation', '').includes('.');
  if (isPlain && isTheirs) {
    stack.keep(node);
    return;
  }
  const free = LETTERS.find((letter) => !terms.includes(letter));
  if (!isPlain || !free) throw new NotStackable(node);
  const equation = `${operands.map((term, index) => (stack.isStacked(node.inputs[index]) ? free + term : term)).join(',')}->${free}${result}`;
  const inputs = node.inputs.map((input) => (stack.isStacked(input) ? stack.apart(node, input) : input));
  stack.keepApart(node, inputs, new Map([['equation', text(equation)]]));
};

const reshape: StackingRule = (node, stack) => {
  const from = stack.shapeOf(node, node.input(0));
  const to = stack.shapeOf(node, node.output());
  const target = stack.constantOf(node, 1);
  // A target that says nothing of the first axis holds for any number of images; one that drops it joins them.
  const drops = from.join() === [1, ...to].join();
  const isOpen = target[0] === -1 || (target[0] === 0 && from[0] === to[0] && node.int('allowzero', 0) === 0);
  if (isOpen && !drops) stack.keep(node);
  else stack.reshape(node);
};

const squeeze: StackingRule = (node, stack) => {
  const wider = node.op === 'Squeeze' ? node.input(0) : node.output();
  const rank = stack.shapeOf(node, wider).length;
  const axes = node.inputs[1] ? stack.constantOf(node, 1).map((axis) => wrapped(axis, rank)) : [0];
  if (axes.includes(0)) stack.reshape(node);
  else stack.keep(node);
};

const flatten: StackingRule = (node, stack) => {
  const rank = stack.shapeOf(node, node.input(0)).length;
  if (wrapped(node.int('axis', 1), rank) > 0) stack.keep(node);
  else stack.reshape(node);
};

const transpose: StackingRule = (node, stack) => {
  const from = stack.shapeOf(node, node.input(0));
  const permutation = node.ints('perm') ?? from.map((_, axis) => from.length - 1 - axis);
  if (permutation[0] === 0) {
    stack.keep(node);
    return;
  }
  const perm = ints([0, ...permutation.map((axis) => axis + 1)]);
  stack.keepApart(node, [stack.apart(node, node.input(0))], new Map([['perm', perm]]));
};

/** An operator of which nothing is known works on images by themselves, as exporters write them: [1, …]. */
const unknown: StackingRule = (node, stack) => {
  const isImage = (value: Value | undefined) =>
    !stack.isStacked(value) || !stack.isKnown(value) || stack.shapeOf(node, value)[0] === 1;
  if (![...node.inputs, ...node.outputs].every(isImage)) throw new NotStackable(node);
  stack.keep(node);
};

const RULES: Readonly<Record<string, StackingRule>> = {
  ...each(
    [
      'AveragePool',
      'BatchNormalization',
      'Conv',
      'ConvTranspose',
      'DepthToSpace',
      'GlobalAveragePool',
      'GlobalMaxPool',
    ],
    onItems,
  ),
  ...each(['GroupNormalization', 'InstanceNormalization', 'LRN', 'MaxPool', 'SpaceToDepth'], onItems),
  ...each(['Abs', 'Cast', 'Ceil', 'Celu', 'Clip', 'Cos', 'Dropout', 'Elu', 'Erf', 'Exp', 'Floor', 'Gelu'], onElements),
  ...each(['HardSigmoid', 'HardSwish', 'Identity', 'IsInf', 'IsNaN', 'LeakyRelu', 'Log', 'Mish', 'Neg'], onElements),
  ...each(
    ['Not', 'QuickGelu', 'Reciprocal', 'Relu', 'Round', 'Selu', 'Sigmoid', 'Sign', 'Sin', 'Softplus'],
    onElements,
  ),
  ...each(['Softsign', 'Sqrt', 'Swish', 'Tanh', 'ThresholdedRelu'], onElements),
  ...each(['Add', 'And', 'Div', 'Equal', 'FastGelu', 'Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual'], onStretched),
  ...each(['Max', 'Mean', 'Min', 'Mod', 'Mul', 'Or', 'Pow', 'PRelu', 'Sub', 'Sum', 'Where', 'Xor'], onStretched),
  ...each(
    ['Hardmax', 'LayerNormalization', 'LogSoftmax', 'LpNormalization', 'RMSNormalization', 'Softmax', 'TopK'],
    alongAxis(-1),
  ),
  ...each(['ArgMax', 'ArgMin'], alongAxis(0)),
  SimplifiedLayerNormalization: alongAxis(-1),
  ...each(['ReduceL1', 'ReduceL2', 'ReduceLogSum', 'ReduceLogSumExp', 'ReduceMax', 'ReduceMean', 'ReduceMin'], reduce),
  ...each(['ReduceProd', 'ReduceSum', 'ReduceSumSquare'], reduce),
  ...each(['Squeeze', 'Unsqueeze'], squeeze),
  Concat: concat,
  Einsum: einsum,
  Expand: expand,
  Flatten: flatten,
  Gather: gather,
  Gemm: gemm,
  MatMul: matmul,
  Pad: pad,
  Reshape: reshape,
  Resize: resize,
  Slice: slice,
  Split: split,
  Tile: tile,
  Transpose: transpose,
};

/** Appends what `node`, which reads what is stacked, becomes. @throws NotStackable. */
export function stackNode(node: Node, stack: Stack): void {
  const isOurs = node.domain === '' || ['FastGelu', 'Gelu', 'QuickGelu'].includes(node.op);
  const rule = isOurs && node.inputs.every((input) => !input || stack.isKnown(input)) ? RULES[node.op] : undefined;
  (rule ?? unknown)(node, stack);
}

function each(ops: readonly string[], rule: StackingRule): Record<string, StackingRule> {
  return Object.fromEntries(ops.map((op) => [op, rule]));
}
