import type { Preprocessing } from '../artifacts/manifest.js';
import { fittedSize } from '../artifacts/fittedSize.js';
import { type Graph, int, ints, Node, Value } from '../graph/graph.js';
import { dtypeCode } from '../onnx/tensor.js';
import { imageOfLevels } from './bakedImage.js';
import { NodeList } from './nodeList.js';
import { resizeSide, roundHalfUp } from './resizeSide.js';

/** What the image is called that a model with its preprocessing takes. */
const IMAGE = 'image';
/** Since which operator set Shape gives a part of it, and Pad, ReduceSum and Where are as they are used here. */
export const BAKED_OPSET = 18;

/** What a model that prepares photos by itself takes of them: their bytes [N, H, W, 3], or numbers that are normalised already, [N, 3, H, W]. */
export type TakenPhotos = 'bytes' | 'normalized';

/**
 * The graph with what is done to photos before it: its input becomes a photo of any size, which is resized, cropped and normalised as
 * `ort-tl` does it itself, but for a level of single pixels, and for JPEG files that it has the decoder shrink.
 * The input is `image`, uint8 RGB [N, H, W, 3], or called `normalized`, float32 [N, 3, H, W]. The names of the dimensions that are free are
 * `height` and `width`.
 */
export function bakePreprocessing(
  graph: Graph,
  preprocessing: Preprocessing,
  takes: TakenPhotos = 'bytes',
  name = IMAGE,
): Graph {
  const [image] = graph.inputs;
  if (!image) throw new Error('the graph has no input');
  const { height, width, mean, std } = preprocessing;
  const batch = image.shape?.[0] ?? { batch: 1 };
  const g = new NodeList('preprocessing');
  const perChannel = (numbers: readonly number[]) => g.float([1, 3, 1, 1], numbers);

  let photo: Value;
  let planes: Value;
  if (takes === 'bytes') {
    photo = new Value(name, 'uint8', [batch, { batch: 1 }, { batch: 1 }, 3]);
    planes = g.op('Transpose', [g.op('Cast', [photo], { to: int(dtypeCode('float32')) })], {
      perm: ints([0, 3, 1, 2]),
    });
  } else {
    photo = new Value(name, 'float32', [batch, 3, { batch: 1 }, { batch: 1 }]);
    const bytes = g.op('Mul', [photo, perChannel(std.map((deviation) => 255 * deviation))]);
    planes = roundHalfUp(g, g.op('Add', [bytes, perChannel(mean.map((each) => 255 * each))]));
  }
  const { scaled, first } = viewOf(g, planes, preprocessing);
  const number = (list: Value, index: number) => g.op('Gather', [list, g.wholeScalar(index)], { axis: int(0) });
  const down = { axis: 2, scaled: number(scaled, 0), first: number(first, 0), count: height } as const;
  const across = { axis: 3, scaled: number(scaled, 1), first: number(first, 1), count: width } as const;
  // libvips shrinks the height first. What a decoder gives is whole numbers.
  const shown = roundHalfUp(g, resizeSide(g, resizeSide(g, planes, down), across));
  const last = imageOfLevels(g, shown, image, preprocessing);
  // What follows reads the source's input, which is computed now.
  const sides = image.shape?.slice(1).map((dim) => (typeof dim === 'number' ? dim : -1)) ?? [];
  const shape = g.whole(-1, ...sides);
  g.nodes.push(new Node({ op: 'Reshape', name: 'preprocessing/image', inputs: [last, shape], outputs: [image] }));
  return {
    opset: Math.max(BAKED_OPSET, graph.opset),
    inputs: [photo],
    outputs: graph.outputs,
    nodes: [...g.nodes, ...graph.nodes],
  };
}

/** What sides are scaled to, and where what is shown of them begins: height and width. */
interface Shown {
  readonly scaled: Value;
  readonly first: Value;
}

/** Whole numbers throughout, so that sides come out as torchvision's: the one that decides as wanted, the other rounded down. */
function viewOf(g: NodeList, planes: Value, preprocessing: Preprocessing): Shown {
  const { height, width, resize } = preprocessing;
  const fitted = fittedSize(preprocessing);
  const least = g.whole(fitted.height, fitted.width);
  const scaled = resize === 'squash' ? least : covering(g, planes, fitted);
  const two = g.whole(2);
  const left = g.op('Sub', [scaled, g.whole(height, width)]);
  const half = g.op('Div', [left, two]);
  // A half is rounded to the even side.
  const first = g.op('Add', [half, g.op('Mul', [g.op('Mod', [left, two]), g.op('Mod', [half, two])])]);
  return { scaled, first };
}

/** The sides at which a photo keeps its aspect and is nowhere smaller than `fitted`. */
function covering(g: NodeList, planes: Value, fitted: { readonly height: number; readonly width: number }): Value {
  const { height, width } = fitted;
  const sides = g.op('Shape', [planes], { start: int(2), end: int(4) });
  const otherSides = g.op('Gather', [sides, g.whole(1, 0)], { axis: int(0) });
  const scaled = g.op('Div', [g.op('Mul', [sides, g.whole(width, height)]), otherSides]);
  return g.op('Max', [g.whole(height, width), scaled]);
}
