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
    package: { type: 'string' },
    model: { type: 'string' },
    policy: { type: 'string', default: 'F1C1' },
    batch: { type: 'string', default: '32' },
    classes: { type: 'string', default: '6' },
    size: { type: 'string', default: '224' },
    steps: { type: 'string', default: '3' },
  },
});
const [batch, classes, size, steps] = [values.batch, values.classes, values.size, values.steps].map(Number);
const tf = createRequire(import.meta.url)(resolve(values.package));
await tf.ready();

const graph = graphOfModel(readModel(values.model).proto, [size, size]);
const layers = graph.nodes.filter(({ op }) => op === 'Conv' || op === 'Gemm');
const trained = new Set({ F1C0: layers.slice(-1), F1C1: layers.slice(-2), full: layers }[values.policy]);
const head = layers.at(-1);
const tensorOf = ({ constant }) => tf.tensor(Float32Array.from(constant.data), [...constant.dims]);

/** Layers' weights as TensorFlow has them; those that train are variables. */
const weights = new Map();
for (const node of graph.nodes) {
  const [x, ...parameters] = node.inputs;
  const keep = (name, tensor, trains) =>
    weights.set(`${node.name || node.output().name}/${name}`, trains ? tf.variable(tensor) : tensor);
  if (node === head) {
    const inputs = parameters[0].constant.dims[1];
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
    const trains = trained.has(x.producer);
    ['scale', 'shift', 'mean', 'variance'].forEach((name, at) =>
      keep(name, tensorOf(parameters[at]), trains && at < 2),
    );
  }
}

const operators = {
  Add: (_, [a, b]) => tf.add(a, b),
  Mul: (_, [a, b]) => tf.mul(a, b),
  Sigmoid: (_, [x]) => tf.sigmoid(x),
  GlobalAveragePool: (_, [x]) => tf.mean(x, [1, 2], true),
  Flatten: (_, [x]) => tf.reshape(x, [x.shape[0], -1]),
  Gemm: (weight, [x]) => tf.add(tf.matMul(x, weight('weight')), weight('bias')),
  BatchNormalization: (weight, [x], node) =>
    tf.batchNorm(x, weight('mean'), weight('variance'), weight('shift'), weight('scale'), node.float('epsilon', 1e-5)),
  Conv: (weight, [x], node) => {
    const [top, left, bottom, right] = node.ints('pads') ?? [0, 0, 0, 0];
    const [stride] = node.ints('strides') ?? [1, 1];
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
    return weight('bias') ? tf.add(y, weight('bias')) : y;
  },
};

function logitsOf(images) {
  const results = new Map([[graph.inputs[0], images]]);
  for (const node of graph.nodes) {
    const operator = operators[node.op];
    if (!operator) throw new Error(`no ${node.op} here`);
    const weight = (name) => weights.get(`${node.name || node.output().name}/${name}`);
    const inputs = node.inputs.filter((value) => value && !value.constant).map((value) => results.get(value));
    results.set(node.output(), operator(weight, inputs, node));
  }
  return results.get(graph.outputs[0]);
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
const elapsed = [];
const losses = [];
for (let step = 0; step <= steps; step++) {
  const began = performance.now();
  const loss = optimizer.minimize(() => tf.losses.softmaxCrossEntropy(labels, logitsOf(images)), true);
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
