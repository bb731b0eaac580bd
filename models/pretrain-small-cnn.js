// Makes models/small_cnn.onnx: builds the small CNN with random weights, draws pictures of the `pretrain` set, trains every
// layer on them with ort-tl itself, and keeps the tuned model. `npm run pretrain` repeats it.
import { copyFile, mkdir } from 'node:fs/promises';
import { Builder } from '../dist/graph/builder.js';
import { int, ints } from '../dist/graph/graph.js';
import { modelOfGraph } from '../dist/graph/proto.js';
import { drawPictures, ImageFolder, optimizers, readModel, Trainer, writeModel } from '../dist/index.js';
import { floatTensor } from '../dist/onnx/tensor.js';
import { Random } from '../dist/random.js';

const SIZE = 32;
const CLASSES = 20;
const work = process.argv[2] ?? 'runs/pretrain';
const epochs = Number(process.argv[3] ?? 12);
const perClass = Number(process.argv[4] ?? 800);
const random = new Random(2024);

/**
 * @param {number[]} dims
 * @param {number} inputs how many each output has, for He initialization
 */
function weights(dims, inputs) {
  const count = dims.reduce((a, b) => a * b, 1);
  return floatTensor(
    dims,
    Array.from({ length: count }, () => random.normal() * Math.sqrt(2 / inputs)),
  );
}

function smallCnn() {
  const g = new Builder(18);
  let x = g.input('input', 'float32', [{ batch: 1 }, 3, SIZE, SIZE]);
  /** @type {(name: string, channels: number, kernels: number) => void} */
  const conv = (name, channels, kernels) => {
    const w = g.constant(`${name}.weight`, weights([kernels, channels, 3, 3], channels * 9));
    const b = g.constant(`${name}.bias`, floatTensor([kernels], new Float32Array(kernels)));
    x = g.op(
      'Conv',
      [x, w, b],
      { kernel_shape: ints([3, 3]), pads: ints([1, 1, 1, 1]), strides: ints([1, 1]) },
      { name },
    );
    x = g.op('Relu', [x], {}, { name: `${name}.relu` });
  };
  /** @param {string} name */
  const pool = (name) => {
    x = g.op('MaxPool', [x], { kernel_shape: ints([2, 2]), strides: ints([2, 2]) }, { name });
  };
  /** @type {(name: string, inputs: number, outputs: number) => void} */
  const fc = (name, inputs, outputs) => {
    const w = g.constant(`${name}.weight`, weights([outputs, inputs], inputs));
    const b = g.constant(`${name}.bias`, floatTensor([outputs], new Float32Array(outputs)));
    x = g.op('Gemm', [x, w, b], { transB: int(1) }, { name });
  };
  conv('conv1', 3, 32);
  pool('pool1');
  conv('conv2', 32, 64);
  pool('pool2');
  conv('conv3', 64, 128);
  conv('conv4', 128, 128);
  pool('pool4');
  x = g.op('Flatten', [x], { axis: int(1) }, { name: 'flatten' });
  fc('fc1', 128 * 4 * 4, 148);
  x = g.op('Relu', [x], {}, { name: 'fc1.relu' });
  fc('fc2', 148, CLASSES);
  g.output('logits', x);
  return modelOfGraph(g.graph, 'small_cnn');
}

await mkdir(work, { recursive: true });
await writeModel(smallCnn(), `${work}/random.onnx`);
await drawPictures(`${work}/pictures`, {
  set: 'pretrain',
  trainPerClass: perClass,
  valPerClass: 50,
  size: 48,
  seed: 1,
});
const dataset = await ImageFolder.open(`${work}/pictures`, { valFraction: 0.2, seed: 0 });
const run = new Trainer({
  model: readModel(`${work}/random.onnx`),
  dataset,
  policy: 'full',
  out: `${work}/run`,
  epochs,
  batch: 64,
  optimizer: optimizers.adamw,
  learningRate: 1e-3,
  labelSmoothing: 0.1,
  seed: 1,
});
for await (const event of run) {
  if (event.type === 'epoch') console.log(JSON.stringify(event.result));
  if (event.type === 'done') console.log(JSON.stringify(event.summary));
}
await copyFile(`${work}/run/model.onnx`, 'models/small_cnn.onnx');
