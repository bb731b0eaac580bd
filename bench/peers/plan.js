// What every peer is told, so that all do the same work: photos, their order in every epoch, the learning rate of every step and
// the new head's weights, as ort-tl itself has them for a seed.
import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { compile, openDataset, readModel } from 'ort-tl';
import { shareOfPeak } from '../../dist/optim/schedule.js';
import { Random } from '../../dist/random.js';
import { settingsOf } from '../../dist/train/trainOptions.js';

/** @import { CompileOptions } from '../../dist/artifacts/compileOptions.js' */
/** @import { Photo } from '../../dist/data/photo.js' */

/**
 * Opens the photos of `data` and keeps the first `share` of each class, of the training and the validation photos alike; writes
 * them as a list that ort-tl reads.
 * @param {string} data
 * @param {number} share
 * @param {string} file
 */
export async function writePhotoList(data, share, file) {
  const { classes, train, val } = await openDataset(data, { seed: 0 });
  /** @param {readonly Photo[]} photos */
  const firstOf = (photos) =>
    classes.flatMap((_, label) => {
      const own = photos.filter((photo) => photo.label === label);
      return own.slice(0, Math.max(1, Math.round(own.length * share)));
    });
  const lines = [
    { split: 'train', photos: firstOf(train) },
    { split: 'val', photos: firstOf(val) },
  ].flatMap(({ split, photos }) =>
    photos.map(({ path, label }) => `"${resolve(path)}",${classes[label] ?? ''},${split}`),
  );
  writeFileSync(file, `${['path,label,split', ...lines].join('\n')}\n`);
}

/**
 * Compiles as `ort-tl train` would with the same seed.
 * @param {ReturnType<typeof readModel>} model
 * @param {readonly string[]} classes
 * @param {Partial<Pick<CompileOptions, 'seed' | 'size' | 'optimizer'>> & { policy: CompileOptions['policy'], batch: number }} options
 */
export function compileFor(model, classes, { policy, batch, seed = 0, size, optimizer }) {
  return compile(model, {
    policy,
    classes,
    batch,
    seed,
    ...(optimizer ? { optimizer } : {}),
    ...(size ? { size } : {}),
    preprocessing: 'torchvision',
  });
}

/**
 * Writes the plan of one training as JSON.
 * @param {{ modelPath: string, list: string, policy: string, batch: number, epochs: number, seed?: number }} training
 * @param {string} file
 */
export async function writePlan({ modelPath, list, policy, batch, epochs, seed = 0 }, file) {
  const model = readModel(modelPath);
  const dataset = await openDataset(list, { seed });
  const settings = settingsOf({ model, dataset, policy, epochs, batch, seed });
  const { manifest, state } = compileFor(model, dataset.classes, { ...settings, batch: settings.batch });
  const steps = Math.ceil(dataset.train.length / settings.batch);
  const { learningRate } = settings;
  if (learningRate === 'auto') throw new Error('expected a learning rate');
  const warmup = Math.round(settings.warmupEpochs * steps);
  const head = manifest.layers.at(-1)?.parameters ?? [];
  /** @param {string} name */
  const stateOf = (name) => {
    const tensor = state.get(name);
    if (!tensor) throw new Error(`the head has no ${name}`);
    return { shape: tensor.dims, values: [...tensor.data] };
  };
  writeFileSync(
    file,
    JSON.stringify({
      model: resolve(modelPath),
      policy,
      classes: dataset.classes,
      train: dataset.train.map(({ path, label }) => [path, label]),
      val: dataset.val.map(({ path, label }) => [path, label]),
      preprocessing: manifest.preprocessing,
      batch: settings.batch,
      epochs,
      optimizer: settings.optimizer,
      decay: settings.decayAll ? 'all' : 'weights',
      learningRates: Array.from({ length: epochs }, (_, epoch) =>
        Array.from(
          { length: steps },
          (_, index) =>
            learningRate *
            shareOfPeak(settings.schedule, { step: epoch * steps + index, total: epochs * steps, warmup }),
        ),
      ),
      orders: Array.from({ length: epochs }, (_, epoch) =>
        new Random(seed).fork(`epoch ${epoch + 1}`).shuffle(dataset.train.map((_, index) => index)),
      ),
      head: head.map(stateOf),
    }),
  );
}
