import type { Preprocessing } from '../artifacts/manifest.js';
import { fittedSize } from '../artifacts/fittedSize.js';
import { type Attribute, type Graph, int, ints, Node, text, Value } from '../graph/graph.js';
import { dtypeCode, floatTensor, intTensor, type Tensor } from '../onnx/tensor.js';

/** What the image is called that a model with its preprocessing takes. */
const IMAGE = 'image';
/** Since which operator set Resize smooths what it shrinks. */
export const BAKED_OPSET = 18;

/**
 * The graph with what is done to photos before it: its input becomes `image`, uint8 RGB [N, H, W, 3] of any size, which is resized,
 * cropped and normalised as `ort-tl` does it itself. The names of the dimensions that are free are `height` and `width`.
 */
export function bakePreprocessing(graph: Graph, preprocessing: Preprocessing): Graph {
  const { height, width, resize, mean, std } = preprocessing;
  const fitted = fittedSize(preprocessing);
  const [image] = graph.inputs;
  if (!image) throw new Error('the graph has no input');
  const channelsFirst = image.shape?.[1] === 3;
  const batch = image.shape?.[0] ?? { batch: 1 };
  const nodes: Node[] = [];
  let count = 0;
  const op = (type: string, inputs: (Value | undefined)[], attributes: Record<string, Attribute> = {}): Value => {
    const name = `preprocessing/${type}_${++count}`;
    const output = new Value(name);
    nodes.push(
      new Node({ op: type, name, inputs, outputs: [output], attributes: new Map(Object.entries(attributes)) }),
    );
    return output;
  };
  const constant = (name: string, tensor: Tensor): Value => {
    const value = new Value(`preprocessing/${name}`, tensor.dtype, tensor.dims);
    value.constant = tensor;
    return value;
  };
  const whole = (name: string, numbers: readonly number[]) => constant(name, intTensor([numbers.length], numbers));

  const pixels = new Value(IMAGE, 'uint8', [batch, { batch: 1 }, { batch: 1 }, 3]);
  const planes = op('Transpose', [op('Cast', [pixels], { to: int(dtypeCode('float32')) })], {
    perm: ints([0, 3, 1, 2]),
  });
  const window = whole('window', [height, width]);
  const resized = (sizes: Value) =>
    op('Resize', [planes, undefined, undefined, sizes], {
      mode: text('linear'),
      antialias: int(1),
      axes: ints([2, 3]),
      coordinate_transformation_mode: text('half_pixel'),
    });
  let shown: Value;
  if (resize === 'squash' && fitted.width === width && fitted.height === height) shown = resized(window);
  else {
    const least = whole('fitted', [fitted.height, fitted.width]);
    // Whole numbers throughout, so that sides come out as torchvision's: the one that decides as wanted, the other rounded down.
    const covering = () => {
      const sides = op('Shape', [planes], { start: int(2), end: int(4) });
      const otherSides = op('Gather', [sides, whole('swapped', [1, 0])], { axis: int(0) });
      const otherLeast = whole('fitted_swapped', [fitted.width, fitted.height]);
      return op('Max', [least, op('Div', [op('Mul', [sides, otherLeast]), otherSides])]);
    };
    const scaled = resize === 'squash' ? least : covering();
    const two = whole('two', [2]);
    const left = op('Sub', [scaled, window]);
    const half = op('Div', [left, two]);
    // A half is rounded to the even side.
    const first = op('Add', [half, op('Mul', [op('Mod', [left, two]), op('Mod', [half, two])])]);
    shown = op('Slice', [resized(scaled), first, op('Add', [first, window]), whole('axes', [2, 3])]);
  }
  // What a decoder gives is whole numbers.
  const rounded = op('Round', [shown]);
  const perChannel = (name: string, numbers: readonly number[]) => constant(name, floatTensor([1, 3, 1, 1], numbers));
  const scale = perChannel(
    'scale',
    std.map((deviation) => 1 / (255 * deviation)),
  );
  const shift = perChannel(
    'shift',
    mean.map((each, channel) => -each / (std[channel] ?? 1)),
  );
  const normalized = op('Add', [op('Mul', [rounded, scale]), shift]);
  const last = channelsFirst ? normalized : op('Transpose', [normalized], { perm: ints([0, 2, 3, 1]) });
  // What follows reads the source's input, which is computed now.
  const shape = constant('shape', intTensor([4], channelsFirst ? [-1, 3, height, width] : [-1, height, width, 3]));
  nodes.push(new Node({ op: 'Reshape', name: 'preprocessing/image', inputs: [last, shape], outputs: [image] }));
  return {
    opset: Math.max(BAKED_OPSET, graph.opset),
    inputs: [pixels],
    outputs: graph.outputs,
    nodes: [...nodes, ...graph.nodes],
  };
}
