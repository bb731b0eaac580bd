// One training step in TensorFlow.js, measured; prints a line of JSON.
//   node bench/peers/tensorflow.js --package FOLDER/node_modules/@tensorflow/tfjs-node --model M --policy F1C1 --batch N [--steps 3]
// Runs an ONNX classifier of convolutions, BatchNormalizations with frozen statistics, SiLU and squeeze-excite gates, in
// channels-last; the frozen part is inside the step. TensorFlow.js has Adam and no AdamW.
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { readModel } from 'ort-tl';
import { spreadOf } from '../../dist/bench/statistics.js';
import { graphOfModel } from '../../dist/graph/proto.js';

const { values } = parseArgs({
  options: {
    package: { type: 'string', default: '.' },
    model: { type: 'string', default: '' },
    policy: { type: 'string', default: 'F1C1' },
    batch: { type: 'string', default: '32' },
    classes: { type: 'string', default: '6' },
    size: { type: 'string', default: '224' },
    steps: { type: 'string', default: '3' },
  },
});
const [batch, classes] = [Number(values.batch), Number(values.classes)];
const [size, steps] = [Number(values.size), Number(values.steps)];
/** @type {import('./tensorflow.d.ts').TensorFlow} */
const tf = createRequire(import.meta.url)(resolve(values.package));
await tf.ready();

/** @import { Node, Value } from '../../dist/graph/graph.js' */
/** @import { Tensor } from './tensorflow.d.ts' */

const graph = graphOfModel(readModel(values.model).proto, [size, size]);
const layers = graph.nodes.filter(({ op }) => op === 'Conv' || op === 'Gemm');
/** @type {Readonly<Record<string, readonly Node[]>>} */
const layersOf = { F1C0: layers.slice(-1), F1C1: layers.slice(-2), full: layers };
const trained = new Set(layersOf[values.policy]);
const head = layers.at(-1);
/** @param {Value | undefined} value */
const tensorOf = (value) => {
  if (!value?.constant) throw new Error('expected a constant');
  return tf.tensor(Float32Array.from(value.constant.data, Number), [...value.constant.dims]);
};

/**
 * Layers' weights as TensorFlow has them; those that train are variables.
 * @type {Map<string, Tensor>}
 */
const weights = new Map();
for (const node of graph.nodes) {
  const [x, ...parameters] = node.inputs;
  /** @type {(name: string, tensor: Tensor, trains: boolean) => void} */
  const keep = (name, tensor, trains) => {
    weights.set(`${node.name || node.output().name}/${name}`, trains ? tf.variable(tensor) : tensor);
  };
  if (node === head) {
    const inputs = parameters[0]?.constant?.dims[1] ?? NaN;
    keep(
      'weight',
      tf.randomUniform([inputs, classes], -1 / Math.sqrt(inputs), 1 / Math.sqrt(inputs), 'float32', 0),
      true,
    );
    keep('bias', tf.zeros([classes]), true);
  } else if (node.op === 'Conv') {
    const depthwise = node.int('group', 1) > 1;
    keep('weight', tf.transpose(tensorOf(parameters[0]), depthwise ? [2, 3, 0, 1] : [2, 3, 1, 0]), trained.has(node));
    if (parameters[1]) keep('bias', tensorOf(parameters[1]), trained.has(node));
  } else if (node.op === 'BatchNormalization') {
    const trains = x?.producer !== undefined && trained.has(x.producer);
    ['scale', 'shift', 'mean', 'variance'].forEach((name, at) =>
      keep(name, tensorOf(parameters[at]), trains && at < 2),
    );
  }
}

/**
 * @param {readonly Tensor[]} tensors
 * @param {number} index
 */
function at(tensors, index) {
  const tensor = tensors[index];
  if (!tensor) throw new Error(`an operator has no input ${index}`);
  return tensor;
}

/**
 * What each operator is in TensorFlow.
 * @type {Readonly<Record<string, (weight: (name: string) => Tensor, inputs: readonly Tensor[], node: Node, hasBias: boolean) => Tensor>>}
 */
const operators = {
  Add: (_, inputs) => tf.add(at(inputs, 0), at(inputs, 1)),
  Mul: (_, inputs) => tf.mul(at(inputs, 0), at(inputs, 1)),
  Sigmoid: (_, inputs) => tf.sigmoid(at(inputs, 0)),
  GlobalAveragePool: (_, inputs) => tf.mean(at(inputs, 0), [1, 2], true),
  Flatten: (_, inputs) => tf.reshape(at(inputs, 0), [at(inputs, 0).shape[0] ?? NaN, -1]),
  Gemm: (weight, inputs) => tf.add(tf.matMul(at(inputs, 0), weight('weight')), weight('bias')),
  BatchNormalization: (weight, inputs, node) => {
    const [mean, variance] = [weight('mean'), weight('variance')];
    return tf.batchNorm(at(inputs, 0), mean, variance, weight('shift'), weight('scale'), node.float('epsilon', 1e-5));
  },
  Conv: (weight, inputs, node, hasBias) => {
    const [top = 0, left = 0, bottom = 0, right = 0] = node.ints('pads') ?? [];
    const [stride = 1] = node.ints('strides') ?? [];
    const x = at(inputs, 0);
    const padded =
      top + left + bottom + right > 0
        ? tf.pad(x, [
            [0, 0],
            [top, bottom],
            [left, right],
            [0, 0],
          ])
        : x;
    const convolve = node.int('group', 1) > 1 ? tf.depthwiseConv2d : tf.conv2d;
    const y = convolve(padded, weight('weight'), stride, 'valid');
    return hasBias ? tf.add(y, weight('bias')) : y;
  },
};

/** @param {Tensor} images */
function logitsOf(images) {
  /** @type {Map<Value | undefined, Tensor>} */
  const results = new Map([[graph.inputs[0], images]]);
  for (const node of graph.nodes) {
    const operator = operators[node.op];
    if (!operator) throw new Error(`no ${node.op} here`);
    /** @param {string} name */
    const key = (name) => `${node.name || node.output().name}/${name}`;
    /** @param {string} name */
    const weight = (name) => {
      const tensor = weights.get(key(name));
      if (!tensor) throw new Error(`no ${key(name)} here`);
      return tensor;
    };
    const inputs = node.inputs.filter((value) => value && !value.constant).flatMap((value) => results.get(value) ?? []);
    results.set(node.output(), operator(weight, inputs, node, weights.has(key('bias'))));
  }
  const logits = results.get(graph.outputs[0]);
  if (!logits) throw new Error('the model gives nothing');
  return logits;
}

const images = tf.randomUniform([batch, size, size, 3], -1, 1, 'float32', 0);
const labels = tf.oneHot(
  tf.tensor1d(
    Array.from({ length: batch }, (_, at) => at % classes),
    'int32',
  ),
  classes,
);
const optimizer = tf.train.adam(1e-4);
/** @type {number[]} */
const elapsed = [];
/** @type {(number | undefined)[]} */
const losses = [];
for (let step = 0; step <= steps; step++) {
  const began = performance.now();
  const loss = optimizer.minimize(() => tf.losses.softmaxCrossEntropy(labels, logitsOf(images)), true);
  if (!loss) throw new Error('the optimizer gave no loss');
  losses.push((await loss.data())[0]);
  loss.dispose();
  elapsed.push(performance.now() - began);
}
console.log(
  JSON.stringify({
    batch,
    stepMs: spreadOf(elapsed.slice(1)),
    losses,
    peakRssBytes: process.resourceUsage().maxRSS * 1024,
    versions: { 'tensorflow.js': `${tf.version['tfjs-core'] ?? tf.version_core} (${tf.getBackend()})` },
  }),
);
