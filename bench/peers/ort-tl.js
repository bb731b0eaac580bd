// ort-tl's own side of the comparison. Trainings go through its command line, a process each; steps through the classes that
// the trainer uses, in the process that measures.
//   node bench/peers/ort-tl.js steps --model M --policy P --batch N [--classes 6] [--steps 8] [--threads N] [--provider cuda]
//   node bench/peers/ort-tl.js train --model M --data D --policy P --epochs N --batch N
//   node bench/peers/ort-tl.js profile --model M --data D --policy P --epochs N --batch N     (where a cached epoch's time goes)
//   node bench/peers/ort-tl.js machine --model M --batches 16,32     (ONNX Runtime's own inference, and a large Gemm)
//   node bench/peers/ort-tl.js inference --model M [--milliseconds 2000] [--threads N]     (ONNX Runtime's, in whichever way is best)
//   node bench/peers/ort-tl.js decoding --data D [--size 224] [--threads N]     (sharp alone)
//   node bench/peers/ort-tl.js compile --model M --policy P --batch N --out FOLDER     (what `steps` begins with)
// print a line of JSON.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { loadArtifacts, readModel, writeArtifacts } from 'ort-tl';
import { Engine } from '../../dist/runtime/engine.js';
import { providerCalled } from '../../dist/runtime/providers.js';
import { compileWithin, planningOf } from '../../dist/train/compileWithin.js';
import { settingsOf } from '../../dist/train/trainOptions.js';
import { measureInference } from './inference.js';
import { measureMachine } from './limits.js';
import { measureDecoding } from './photos.js';
import { measureProfile } from './profile.js';
import { noise, timed } from './timed.js';
import { measureTraining } from './training.js';

/** @import { TrainOptions } from '../../dist/train/trainOptions.js' */

/**
 * Steps on a batch of noise, with the frozen part inside and without it.
 * @param {{ model: string, policy: string, batch: number, classes?: number, steps?: number, threads?: number, size?: number, provider?: string }} settings
 */
export async function measureSteps(settings) {
  const { model, policy, batch, classes = 6, steps = 8, threads = 0, size } = settings;
  const provider = await providerCalled(settings.provider ?? 'cpu');
  const folder = mkdtempSync(join(tmpdir(), 'ort-tl-peers-'));
  // As a training does, in a process of its own, whose memory is given back.
  const given = ['compile', '--model', model, '--policy', policy, '--batch', String(batch)];
  const more = [
    '--classes',
    String(classes),
    '--out',
    folder,
    '--provider',
    provider,
    '--threads',
    String(threads),
    ...(size ? ['--size', String(size)] : []),
  ];
  await promisify(execFile)(process.execPath, [fileURLToPath(import.meta.url), ...given, ...more]);
  // The frozen part is run on each batch anew.
  const engine = await Engine.start(folder, { slots: batch, threads, provider, images: batch * steps });
  try {
    const { preprocessing, cost } = loadArtifacts(folder).manifest;
    const images = Array.from({ length: batch }, () =>
      noise(new Uint8Array(preprocessing.height * preprocessing.width * 3), (value) => value % 256),
    );
    const labels = Array.from({ length: batch }, (_, index) => index % classes);
    const slots = Int32Array.from(labels.keys());
    let firstStep = 1;
    const step = () => engine.steps({ slots, learningRates: Float32Array.of(1e-4), firstStep: firstStep++ });
    const stepMs = await timed(steps, async () => {
      await engine.store(slots, labels, images);
      await step();
    });
    const peakRssBytes = process.resourceUsage().maxRSS * 1024;
    const forwardMs = await timed(steps, async () => {
      await engine.store(slots, labels, images);
      await engine.evaluate(slots);
    });
    const trainedStepMs = await timed(steps, step);
    return { batch, stepMs, forwardMs, trainedStepMs, peakRssBytes, cost };
  } finally {
    await engine.close();
    rmSync(folder, { recursive: true });
  }
}

/**
 * Writes artifacts to the folder `out`, with the layout and the sessions that a training on this machine has.
 * @param {{ model: string, policy: string, batch: number, classes: number, threads: number, out: string, provider: string, size?: number }} settings
 */
async function compileTo({ model: path, policy, batch, classes: count, threads, out, provider: name, size }) {
  const provider = await providerCalled(name);
  const classes = Array.from({ length: count }, (_, index) => `class ${index}`);
  const train = Array.from({ length: batch }, (_, index) => ({ path: '', label: index % count }));
  const model = readModel(path);
  const dataset = { classes, train, val: [], folder: '' };
  /** @type {TrainOptions} */
  const options = {
    model,
    dataset,
    policy,
    batch,
    threads,
    provider,
    out,
    preprocessing: 'torchvision',
    ...(size ? { size } : {}),
  };
  const { compiled } = await compileWithin(model, planningOf(options, settingsOf(options)));
  await writeArtifacts(compiled, out);
  return { out };
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      model: { type: 'string', default: '' },
      data: { type: 'string', default: '' },
      epochs: { type: 'string', default: '10' },
      policy: { type: 'string', default: 'F1C1' },
      batch: { type: 'string', default: '32' },
      batches: { type: 'string', default: '16,32' },
      classes: { type: 'string', default: '6' },
      steps: { type: 'string', default: '8' },
      threads: { type: 'string', default: '0' },
      milliseconds: { type: 'string', default: '2000' },
      provider: { type: 'string', default: 'cpu' },
      size: { type: 'string' },
      out: { type: 'string', default: '' },
    },
  });
  const [batch, classes] = [Number(values.batch), Number(values.classes)];
  const [steps, threads] = [Number(values.steps), Number(values.threads)];
  const size = values.size ? { size: Number(values.size) } : {};
  const { model, policy, data, provider } = values;
  /** @type {Readonly<Record<string, () => Promise<unknown>>>} */
  const tasks = {
    machine: () => measureMachine({ model, batches: values.batches.split(',').map(Number), steps, threads, ...size }),
    compile: () => compileTo({ model, policy, batch, classes, threads, out: values.out, provider, ...size }),
    steps: () => measureSteps({ model, policy, batch, classes, steps, threads, provider, ...size }),
    inference: () => measureInference({ model, threads, milliseconds: Number(values.milliseconds), ...size }),
    decoding: () => measureDecoding({ data, threads, ...size }),
    train: () => measureTraining({ model, data, policy, epochs: Number(values.epochs), batch }),
    profile: () => measureProfile({ model, data, policy, epochs: Number(values.epochs), batch }),
  };
  const task = tasks[positionals[0] ?? ''];
  if (!task) throw new Error(`expected one of ${Object.keys(tasks).join(', ')}`);
  try {
    console.log(JSON.stringify(await task()));
  } catch (thrown) {
    // Whoever reads what went wrong takes the last line.
    console.error(thrown);
    console.error(thrown instanceof Error ? thrown.message : String(thrown));
    process.exitCode = 1;
  }
}
