import { imageLayout } from '../artifacts/imageLayout.js';
import { LUMA, LUMA_SHIFT, type Preprocessing } from '../artifacts/manifest.js';
import { int, ints, type Value } from '../graph/graph.js';
import { dtypeCode } from '../onnx/tensor.js';
import type { NodeList } from './nodeList.js';

/** What a model takes, of `shown`, levels of colours [N, 3, H, W] as whole numbers; the layout is that of `image`. */
export function imageOfLevels(g: NodeList, shown: Value, image: Value, { mean, std }: Preprocessing): Value {
  const layout = imageLayout(image.shape);
  if (!layout) throw new Error('the graph takes no image');
  const perChannel = (numbers: readonly number[]) => g.float([1, numbers.length, 1, 1], numbers);
  const count = layout.channels;
  const levels = count === 3 ? shown : grey(g, shown);
  const taken =
    image.dtype === 'uint8'
      ? g.op('Cast', [levels], { to: int(dtypeCode('uint8')) })
      : g.op('Add', [
          g.op('Mul', [levels, perChannel(std.slice(0, count).map((deviation) => 1 / (255 * deviation)))]),
          perChannel(mean.slice(0, count).map((each, channel) => -each / (std[channel] ?? 1))),
        ]);
  return layout.isChannelsFirst ? taken : g.op('Transpose', [taken], { perm: ints([0, 2, 3, 1]) });
}

/** Grey of levels of colours, as Pillow makes it. */
function grey(g: NodeList, shown: Value): Value {
  const weighted = g.op('Mul', [shown, g.float([1, 3, 1, 1], LUMA)]);
  const sum = g.op('ReduceSum', [weighted, g.whole(1)]);
  const rounding = g.op('Add', [sum, g.float([], [LUMA_SHIFT / 2])]);
  return g.op('Floor', [g.op('Mul', [rounding, g.float([], [1 / LUMA_SHIFT])])]);
}
