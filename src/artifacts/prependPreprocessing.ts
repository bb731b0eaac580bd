import { int, ints, Node, Value } from '../graph/graph.js';
import { inferGraph } from '../graph/infer.js';
import { dtypeCode, floatTensor, intTensor, type Tensor } from '../onnx/tensor.js';
import { type ImageLayout, imageLayout } from './imageLayout.js';
import type { Classifier } from './prepare.js';
import { LUMA, LUMA_SHIFT, PIXELS, type Preprocessing } from './manifest.js';

/**
 * Puts the preprocessing before the model: its input becomes `pixels`, uint8 RGB [N, H, W, 3], so that photos travel as
 * bytes and the runtime does the arithmetic. A model that takes bytes does its own.
 */
export function prependPreprocessing(
  { graph, image }: Pick<Classifier, 'graph' | 'image'>,
  preprocessing: Preprocessing,
): void {
  const layout = imageLayout(image.shape);
  if (!layout) throw new Error('the graph takes no image');
  const before = new Before(layout);
  if (layout.channels === 1) before.grey(image, preprocessing);
  else if (image.dtype === 'uint8') before.bytes(image);
  else before.colour(image, preprocessing);
  graph.inputs = [before.pixels];
  graph.nodes = [...before.nodes, ...graph.nodes];
  inferGraph(graph);
}

/** What makes the model's image of pixels. */
class Before {
  readonly pixels: Value;
  readonly nodes: Node[] = [];

  constructor(private readonly layout: ImageLayout) {
    this.pixels = new Value(PIXELS, 'uint8', [{ batch: 1 }, layout.height, layout.width, 3]);
  }

  colour(image: Value, { mean, std }: Preprocessing): void {
    const { isChannelsFirst, height, width } = this.layout;
    const perChannel = (name: string, numbers: readonly number[]) =>
      this.constant(name, floatTensor(isChannelsFirst ? [3, 1] : [3], numbers));
    let value = this.cast(this.pixels, 'float32');
    if (isChannelsFirst) {
      value = this.planes(value);
      // In planes: ONNX Runtime would otherwise move the transposition behind the arithmetic, where each channel is one number of three.
      value = this.append('Reshape', [value, this.constant('planes', intTensor([3], [0, 3, -1]))]);
    }
    const [scale, shift] = [std.map((s) => 1 / (255 * s)), mean.map((m, channel) => -m / (std[channel] ?? 1))];
    value = this.append('Mul', [value, perChannel('scale', scale)]);
    const normalized = this.append(
      'Add',
      [value, perChannel('shift', shift)],
      new Map(),
      isChannelsFirst ? undefined : image,
    );
    if (isChannelsFirst)
      this.append(
        'Reshape',
        [normalized, this.constant('image', intTensor([4], [0, 3, height, width]))],
        new Map(),
        image,
      );
  }

  bytes(image: Value): void {
    if (this.layout.isChannelsFirst) this.planes(this.pixels, image);
    else this.append('Identity', [this.pixels], new Map(), image);
  }

  /** Grey as Pillow makes it of colours, in whole numbers that float32 holds exactly. */
  grey(image: Value, { mean, std }: Preprocessing): void {
    const { isChannelsFirst, height, width } = this.layout;
    const number = (name: string, value: number) => this.constant(name, floatTensor([], [value]));
    const weighted = this.append('Mul', [
      this.cast(this.pixels, 'float32'),
      this.constant('luma', floatTensor([3], LUMA)),
    ]);
    const axis = this.constant('channels', intTensor([1], [3]));
    const sum = this.append('ReduceSum', [weighted, axis], new Map([['keepdims', int(0)]]));
    const rounding = this.append('Add', [sum, number('half', LUMA_SHIFT / 2)]);
    let value = this.append('Floor', [this.append('Mul', [rounding, number('step', 1 / LUMA_SHIFT)])]);
    if (image.dtype === 'uint8') value = this.cast(value, 'uint8');
    else {
      const [m, s] = [mean[0], std[0]];
      value = this.append('Mul', [value, number('scale', 1 / (255 * s))]);
      value = this.append('Add', [value, number('shift', -m / s)]);
    }
    const shape = isChannelsFirst ? [0, 1, height, width] : [0, height, width, 1];
    this.append('Reshape', [value, this.constant('image', intTensor([4], shape))], new Map(), image);
  }

  private planes(value: Value, output?: Value): Value {
    return this.append('Transpose', [value], new Map([['perm', ints([0, 3, 1, 2])]]), output);
  }

  private cast(value: Value, to: 'float32' | 'uint8'): Value {
    return this.append('Cast', [value], new Map([['to', int(dtypeCode(to))]]));
  }

  private constant(name: string, tensor: Tensor): Value {
    const value = new Value(`${PIXELS}/${name}`, tensor.dtype, tensor.dims);
    value.constant = tensor;
    return value;
  }

  private append(
    op: string,
    inputs: Value[],
    attributes: Node['attributes'] = new Map(),
    output = new Value(`${PIXELS}/${op}`),
  ): Value {
    const again = this.nodes.some(({ name }) => name === output.name);
    const name = again ? `${output.name}_${this.nodes.length}` : output.name;
    this.nodes.push(new Node({ op, name, inputs, outputs: [output], attributes }));
    return output;
  }
}
