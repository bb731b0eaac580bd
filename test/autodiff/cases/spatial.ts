import { type Attribute, float, int, ints, text } from '../../../src/graph/graph.js';
import { floatTensor, intTensor } from '../../../src/onnx/tensor.js';
import { type Case, one } from '../finiteDifferences.js';

/** A pooling of one input. */
const pool = (op: string, what: string, shape: number[], attributes: Record<string, Attribute>): Case =>
  one(op, what, [shape], (g, x) => g.op(op, [x], attributes), undefined, 19);

/** A Resize of one input by scales, or to sizes. */
const resize = (
  what: string,
  shape: number[],
  to: { scales: number[] } | { sizes: number[] },
  attributes: Record<string, Attribute>,
  roi?: number[],
): Case =>
  one(
    'Resize',
    what,
    [shape],
    (g, x) =>
      g.op(
        'Resize',
        [
          x,
          roi && g.constant('roi', floatTensor([roi.length], roi)),
          ...('scales' in to
            ? [g.constant('scales', floatTensor([to.scales.length], to.scales))]
            : [undefined, g.vector(to.sizes)]),
        ],
        attributes,
      ),
    undefined,
    19,
  );

const pad = (what: string, shape: number[], pads: number[], mode: string, axes?: number[]): Case =>
  one(
    'Pad',
    what,
    [shape],
    (g, x) => g.op('Pad', [x, g.vector(pads), ...(axes ? [undefined, g.vector(axes)] : [])], { mode: text(mode) }),
    undefined,
    19,
  );

const slice = (what: string, shape: number[], starts: number[], ends: number[], axes: number[], steps?: number[]) =>
  one('Slice', what, [shape], (g, x) => g.slice(x, starts, ends, axes, steps));

const gather = (what: string, shape: number[], dims: number[], indices: number[], axis: number) =>
  one('Gather', what, [shape], (g, x) => g.gather(x, g.constant('indices', intTensor(dims, indices)), axis));

/** Poolings, and operators that move or select elements. */
export const spatial: readonly Case[] = [
  one(
    'Concat',
    'three parts',
    [
      [2, 3],
      [2, 1],
      [2, 4],
    ],
    (g, a, b, c) => g.concat([a, b, c], 1),
  ),
  one(
    'Concat',
    'a negative axis',
    [
      [2, 3],
      [1, 3],
    ],
    (g, a, b) => g.concat([a, b], -2),
  ),
  one('Flatten', 'axis 1', [[2, 3, 2]], (g, a) => g.op('Flatten', [a], { axis: int(1) })),
  one('GlobalAveragePool', 'unequal sides', [[2, 3, 4, 5]], (g, a) => g.op('GlobalAveragePool', [a])),
  one('MaxPool', '2×2, stride 2', [[2, 3, 4, 6]], (g, a) =>
    g.op('MaxPool', [a], { kernel_shape: ints([2, 2]), strides: ints([2, 2]) }),
  ),
  one('MaxPool', '3×3, stride 2, overlapping and padded', [[2, 2, 7, 7]], (g, a) =>
    g.op('MaxPool', [a], { kernel_shape: ints([3, 3]), strides: ints([2, 2]), pads: ints([1, 1, 1, 1]) }),
  ),
  one('Reshape', 'another rank', [[2, 6]], (g, a) => g.reshape(a, [3, 2, 2])),
  one('Squeeze', 'two axes', [[2, 1, 3, 1]], (g, a) => g.squeeze(a, [1, 3])),
  one('Transpose', 'three axes', [[2, 3, 4]], (g, a) => g.transpose(a, [1, 2, 0])),
  one('Unsqueeze', 'two axes', [[2, 3]], (g, a) => g.unsqueeze(a, [0, 3])),

  pool('AveragePool', '2×2, stride 2', [2, 3, 4, 6], { kernel_shape: ints([2, 2]), strides: ints([2, 2]) }),
  pool('AveragePool', '3×3, overlapping, padding not counted', [2, 2, 5, 5], {
    kernel_shape: ints([3, 3]),
    pads: ints([1, 1, 1, 1]),
  }),
  pool('AveragePool', '3×3, overlapping, padding counted', [2, 2, 5, 5], {
    kernel_shape: ints([3, 3]),
    strides: ints([2, 1]),
    pads: ints([1, 1, 1, 1]),
    count_include_pad: int(1),
  }),
  pool('AveragePool', '3×2, ceil_mode', [1, 2, 6, 7], {
    kernel_shape: ints([3, 2]),
    strides: ints([2, 2]),
    ceil_mode: int(1),
  }),
  pool('AveragePool', '3×3, ceil_mode, padding counted', [1, 2, 6, 7], {
    kernel_shape: ints([3, 3]),
    strides: ints([2, 2]),
    pads: ints([1, 0, 0, 1]),
    ceil_mode: int(1),
    count_include_pad: int(1),
  }),
  pool('AveragePool', '2×2, dilated', [1, 2, 6, 6], { kernel_shape: ints([2, 2]), dilations: ints([2, 3]) }),
  pool('AveragePool', 'auto_pad', [1, 2, 5, 6], {
    kernel_shape: ints([3, 3]),
    strides: ints([2, 2]),
    auto_pad: text('SAME_UPPER'),
  }),
  pool('AveragePool', '1-D', [2, 3, 7], { kernel_shape: ints([3]), strides: ints([2]), pads: ints([1, 1]) }),
  one('DepthToSpace', 'DCR', [[2, 8, 2, 3]], (g, x) => g.op('DepthToSpace', [x], { blocksize: int(2) })),
  one('DepthToSpace', 'CRD', [[2, 8, 2, 3]], (g, x) =>
    g.op('DepthToSpace', [x], { blocksize: int(2), mode: text('CRD') }),
  ),
  one('Expand', 'new and stretched axes', [[3, 1]], (g, x) => g.expand(x, [2, 3, 4])),
  one('Expand', 'a target smaller than the input', [[2, 3]], (g, x) => g.expand(x, [1])),
  one('Gather', 'no axis', [[5, 3]], (g, x) => g.op('Gather', [x, g.vector([3, 0, 3])])),
  one('Gather', 'another order, no axis', [[3, 4]], (g, x) => g.op('Gather', [x, g.vector([2, 0, 1])])),
  gather('as many indices, one twice', [2, 3], [3], [0, 2, 2], 1),
  gather('one index', [2, 5, 3], [], [0], 1),
  gather('negative and repeated indices', [2, 5, 3], [2, 2], [-1, 0, 3, 3], 1),
  gather('another order', [2, 4, 3], [4], [2, 0, -1, 1], 1),
  gather('the last axis', [2, 5], [3], [4, 1, 1], -1),
  one('GlobalMaxPool', 'unequal sides', [[2, 3, 4, 5]], (g, x) => g.op('GlobalMaxPool', [x])),
  one('GlobalMaxPool', '1-D', [[2, 3, 7]], (g, x) => g.op('GlobalMaxPool', [x])),
  pool('MaxPool', '3×2, ceil_mode', [1, 2, 6, 7], {
    kernel_shape: ints([3, 2]),
    strides: ints([2, 2]),
    ceil_mode: int(1),
  }),
  pool('MaxPool', '2×2, dilated', [1, 2, 6, 6], { kernel_shape: ints([2, 2]), dilations: ints([2, 3]) }),
  pool('MaxPool', 'auto_pad', [2, 2, 5, 6], {
    kernel_shape: ints([3, 3]),
    strides: ints([2, 2]),
    auto_pad: text('SAME_LOWER'),
  }),
  pool('MaxPool', '1-D', [2, 3, 7], { kernel_shape: ints([3]), strides: ints([2]), pads: ints([1, 1]) }),
  pad('a constant', [2, 3, 4, 4], [0, 0, 1, 2, 0, 1, 0, 3], 'constant'),
  pad('a constant, cutting off', [2, 3, 4, 4], [0, 0, -1, 2, 0, -1, 1, -2], 'constant'),
  pad('a constant, some axes', [2, 3, 4], [2, 1, 0, 3], 'constant', [-1, 1]),
  pad('every side', [2, 3], [1, 2, 1, 3], 'constant'),
  pad('nothing', [2, 3], [0, 0, 0, 0], 'constant'),
  one('Pad', 'no mode', [[2, 3]], (g, x) => g.pad(x, [1, 0, 0, 2])),
  pad('reflect, one place', [1, 1, 1, 4], [0, 0, 0, 2, 0, 0, 0, 0], 'reflect'),
  pad('edge, cutting off', [1, 4, 5], [0, -1, 2, 0, 1, -2], 'edge'),
  pad('reflect', [1, 2, 4, 5], [0, 0, 3, 2, 0, 0, 1, 4], 'reflect'),
  pad('reflect, cutting off', [1, 2, 4, 6], [0, 0, 1, -2, 0, 0, -1, 2], 'reflect'),
  pad('edge', [1, 2, 4, 5], [0, 1, 3, 2, 0, 0, 1, 6], 'edge'),
  pad('wrap', [1, 2, 4, 5], [0, 0, 3, 2, 0, 0, 1, 4], 'wrap'),
  resize('nearest, twice as large', [1, 2, 3, 4], { scales: [1, 1, 2, 2] }, { mode: text('nearest') }),
  resize(
    'nearest, asymmetric, floor',
    [1, 2, 3, 4],
    { sizes: [1, 2, 7, 6] },
    {
      mode: text('nearest'),
      coordinate_transformation_mode: text('asymmetric'),
      nearest_mode: text('floor'),
    },
  ),
  resize(
    'nearest, smaller',
    [1, 2, 6, 7],
    { scales: [1, 1, 0.6, 0.5] },
    {
      mode: text('nearest'),
      nearest_mode: text('ceil'),
    },
  ),
  resize(
    'nearest, align_corners',
    [1, 2, 3, 4],
    { sizes: [1, 2, 5, 7] },
    {
      mode: text('nearest'),
      coordinate_transformation_mode: text('align_corners'),
      nearest_mode: text('round_prefer_ceil'),
    },
  ),
  ...['half_pixel', 'pytorch_half_pixel', 'align_corners', 'asymmetric', 'half_pixel_symmetric'].flatMap((how) => [
    resize(
      `linear, larger, ${how}`,
      [2, 2, 3, 4],
      { scales: [1, 1, 2, 1.5] },
      {
        mode: text('linear'),
        coordinate_transformation_mode: text(how),
      },
    ),
    resize(
      `linear, smaller, ${how}`,
      [1, 2, 7, 6],
      { sizes: [1, 2, 3, 1] },
      {
        mode: text('linear'),
        coordinate_transformation_mode: text(how),
      },
    ),
  ]),
  resize(
    'linear, tf_crop_and_resize',
    [1, 2, 5, 6],
    { sizes: [1, 2, 4, 3] },
    { mode: text('linear'), coordinate_transformation_mode: text('tf_crop_and_resize') },
    [0, 0, 0.2, -0.1, 1, 1, 0.9, 0.8],
  ),
  resize(
    'linear, half_pixel_symmetric, a fractional size',
    [1, 1, 5, 6],
    { scales: [1, 1, 1.5, 0.6] },
    { mode: text('linear'), coordinate_transformation_mode: text('half_pixel_symmetric') },
  ),
  resize('linear, axes from the end', [2, 3, 4], { sizes: [7] }, { mode: text('linear'), axes: ints([-1]) }),
  resize(
    'nearest, one output, as PyTorch and TensorFlow read it',
    [1, 1, 4, 5],
    { sizes: [1, 1, 1, 1] },
    { mode: text('linear'), coordinate_transformation_mode: text('tf_crop_and_resize') },
    [0, 0, 0.1, 0.2, 1, 1, 0.7, 0.9],
  ),
  resize('linear, some axes', [2, 3, 4, 2], { sizes: [5, 7] }, { mode: text('linear'), axes: ints([2, 3]) }),
  resize('linear, antialiased', [1, 1, 7, 6], { sizes: [1, 1, 3, 4] }, { mode: text('linear'), antialias: int(1) }),
  resize('cubic, larger', [1, 2, 4, 5], { scales: [1, 1, 2, 1.6] }, { mode: text('cubic') }),
  resize(
    'cubic, smaller, outside dropped',
    [1, 2, 7, 6],
    { sizes: [1, 2, 3, 4] },
    {
      mode: text('cubic'),
      cubic_coeff_a: float(-0.5),
      exclude_outside: int(1),
    },
  ),
  one('Slice', 'no axes and no steps', [[4, 5]], (g, x) => g.op('Slice', [x, g.vector([1, -3]), g.vector([3, -1])])),
  slice('from before the beginning', [2, 5], [-9], [3], [1]),
  slice('backwards from beyond the end', [2, 5], [9], [0], [1], [-2]),
  slice('everything', [2, 5], [0], [5], [1]),
  slice('the middle', [2, 5, 4], [1, 1], [4, 3], [1, 2]),
  slice('negative places and axes', [2, 5, 4], [-3], [-1], [-2]),
  slice('to the end', [2, 5], [2], [Number.MAX_SAFE_INTEGER], [1]),
  slice('every second', [2, 7, 5], [1, 0], [7, 5], [1, 2], [2, 3]),
  slice('backwards', [2, 6, 5], [-1, 4], [-7, 0], [1, 2], [-1, -2]),
  one('SpaceToDepth', '2×2', [[2, 3, 4, 6]], (g, x) => g.op('SpaceToDepth', [x], { blocksize: int(2) })),
  one('Split', 'unequal parts', [[2, 6]], (g, x) => {
    const [a, b = x, c = x] = g.ops('Split', [x, g.vector([1, 3, 2])], 3, { axis: int(-1) });
    return g.mul(g.concat([c, a ?? x], 1), b);
  }),
  one('Split', 'a part that is not used', [[2, 7]], (g, x) => {
    const [first = x, , last = x] = g.ops('Split', [x], 3, { axis: int(1), num_outputs: int(3) });
    return g.concat([last, first], 1);
  }),
  one('Split', 'no axis', [[4, 3]], (g, x) => {
    const [a = x, b = x] = g.ops('Split', [x, g.vector([1, 3])], 2);
    return g.mul(a, b);
  }),
  one('Tile', 'no axis', [[2, 3]], (g, x) => g.op('Tile', [x, g.vector([1, 1])])),
  one('Tile', 'all axes', [[2, 3]], (g, x) => g.op('Tile', [x, g.vector([3, 2])])),
  one('Tile', 'some axes', [[2, 3, 2]], (g, x) => g.op('Tile', [x, g.vector([2, 1, 3])])),
];
