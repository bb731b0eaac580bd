// Takes one step of SGD with every model of a folder by several policies, and writes what PyTorch needs to take the same.
//   npm run build && node test/zoo/steps.js FOLDER OUT [NAME …]
//   python test/zoo/check_steps.py OUT [NAME …]       compares them in float64
//   python test/zoo/steps_table.py OUT …               writes the table of docs/models.md
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { compile } from '../../dist/artifacts/compile.js';
import { tunedModel } from '../../dist/artifacts/tunedModel.js';
import { encodeModel, readModel } from '../../dist/onnx/model.js';
import { Random } from '../../dist/random.js';

const [folder = '', out = '', ...only] = process.argv.slice(2);
if (out === '') throw new Error('usage: node test/zoo/steps.js FOLDER OUT [NAME …]');
const policies = (process.env['POLICIES'] ?? 'F1C0,F1C1,blocks:2,bias,lora:8,full').split(',');
const [BATCH, CLASSES, LEARNING_RATE] = [2, 3, 0.1];
const labels = [1, 2];

/** @param {import('../../dist/onnx/tensor.js').Tensor | undefined} tensor */
const bytesOf = (tensor) =>
  new Uint8Array(tensor?.data.buffer ?? new ArrayBuffer(0), tensor?.data.byteOffset, tensor?.data.byteLength);

/** @param {import('../../dist/onnx/onnx_pb.js').ModelProto} model */
const open = (model) =>
  ort.InferenceSession.create(encodeModel(model), { logSeverityLevel: 3, intraOpNumThreads: 1, interOpNumThreads: 1 });

/**
 * @param {string} path
 * @param {string} policy
 * @param {string} place
 */
async function step(path, policy, place) {
  const model = readModel(path);
  const compiled = compile(model, {
    policy,
    classes: Array.from({ length: CLASSES }, (_, index) => `class ${index}`),
    batch: BATCH,
    optimizer: { name: 'sgd', momentum: 0, nesterov: false, weightDecay: 0 },
    preprocessing: 'unit',
    warmStart: false,
    seed: 3,
  });
  const { manifest } = compiled;
  const { height, width } = manifest.preprocessing;
  const random = new Random(11);
  const bytes = Uint8Array.from({ length: BATCH * height * width * 3 }, () => random.integer(256));
  const pixels = new ort.Tensor('uint8', bytes, [BATCH, height, width, 3]);
  /** @type {Record<string, ort.Tensor>} */
  const given = { pixels };
  if (compiled.frozen) Object.assign(given, await (await open(compiled.frozen)).run({ pixels }));
  const boundary = Object.fromEntries(
    manifest.boundary.map(({ name }) => {
      const value = given[name];
      if (!value) throw new Error(`no ${name}`);
      return [name, value];
    }),
  );
  // The second matrix of an adapter is zero at first, and the first one gets no gradient then: it begins elsewhere here.
  const begin = new Map(compiled.state);
  for (const { b } of manifest.adapters) {
    const zero = begin.get(b);
    if (zero)
      begin.set(b, {
        ...zero,
        data: Float32Array.from({ length: zero.data.length }, () => random.between(-0.02, 0.02)),
      });
  }
  const state = Object.fromEntries(
    [...begin].map(([name, { data, dims }]) => {
      if (!(data instanceof Float32Array)) throw new Error('unreachable');
      return [name, new ort.Tensor('float32', data, dims)];
    }),
  );
  const training = await open(compiled.training);
  const results = await training.run({
    ...boundary,
    ...state,
    labels: new ort.Tensor('int64', BigInt64Array.from(labels, BigInt), [BATCH]),
    image_weights: new ort.Tensor('float32', new Float32Array(BATCH).fill(1 / BATCH), [BATCH]),
    ...(training.inputNames.includes('step') ? { step: new ort.Tensor('float32', [1], []) } : {}),
  });
  const names = manifest.parameters.map(({ name }) => name);
  const after = new Map(
    manifest.parameters.map(({ name, gradient = '' }) => {
      const [before, slope] = [state[name], results[gradient]];
      if (!(before?.data instanceof Float32Array) || !(slope?.data instanceof Float32Array))
        throw new Error(`no ${name}`);
      const slopes = slope.data;
      const data = before.data.map((value, index) => value - LEARNING_RATE * (slopes[index] ?? NaN));
      return [name, { dtype: /** @type {const} */ ('float32'), dims: before.dims, data }];
    }),
  );
  mkdirSync(place, { recursive: true });
  writeFileSync(join(place, 'before.onnx'), encodeModel(tunedModel(model.proto, manifest, compiled.state)));
  writeFileSync(join(place, 'after.onnx'), encodeModel(tunedModel(model.proto, manifest, after)));
  writeFileSync(join(place, 'pixels.bin'), bytes);
  const matrices = manifest.adapters.flatMap(({ a, b }) => [a, b]);
  const numbers = [begin, after].flatMap((values) => matrices.map((name) => values.get(name)));
  writeFileSync(join(place, 'adapters.bin'), Buffer.concat(numbers.map((tensor) => bytesOf(tensor))));
  writeFileSync(
    join(place, 'step.json'),
    JSON.stringify({
      names: names.filter((name) => !matrices.includes(name)),
      adapters: manifest.adapters.map(({ a, b, ...adapter }) => ({
        ...adapter,
        a: begin.get(a)?.dims,
        b: begin.get(b)?.dims,
      })),
      labels,
      learningRate: LEARNING_RATE,
      shape: [BATCH, height, width, 3],
      logits: Array.from(/** @type {Float32Array} */ (results['logits']?.data ?? [])),
      boundary: manifest.boundary,
      parameters: manifest.cost.trainableParameters,
    }),
  );
  return `${names.length} parameters, boundary ${manifest.boundary.map((b) => `${b.name}[${b.shape.join()}]`).join()}`;
}

const models = readdirSync(folder).filter(
  (name) => name.endsWith('.onnx') && (only.length === 0 || only.some((part) => name.includes(part))),
);
for (const name of models.sort()) {
  for (const policy of policies) {
    const place = join(out, `${name.slice(0, -5)} ${policy.replaceAll(':', '')}`);
    /** @type {string} */
    let told;
    try {
      told = await step(join(folder, name), policy, place);
    } catch (thrown) {
      told = thrown instanceof Error ? thrown.message : String(thrown);
      mkdirSync(place, { recursive: true });
      writeFileSync(join(place, 'refused.txt'), told);
    }
    console.log(`${name} ${policy}: ${told}`);
  }
}
