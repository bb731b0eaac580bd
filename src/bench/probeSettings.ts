import { openDataset } from '../data/openDataset.js';
import { readTrainFlags } from '../train/trainOptions.js';
import { trainSettingsOf } from './settingsOfRuns.js';
import { photosOf, type TrainSettings } from './suite.js';
import type { SuiteRun } from './suiteRuns.js';

/** Steps of an epoch of a probe. */
const PROBE_BATCHES = 2;

/** What a short training of a run's policy is told, and how many photos a whole one reads; none where they cannot be read. */
export async function probeSettings(
  run: SuiteRun,
  out: string,
): Promise<{ readonly settings: TrainSettings; readonly allPhotos: number }> {
  const settings = trainSettingsOf(run.row);
  const { batch, task, valFraction, limit: most, valLimit: mostVal } = readTrainFlags(run.row.train);
  const options = { seed: run.seed, task, valFraction, limit: most, valLimit: mostVal };
  const { train, val, classes } = await openDataset(photosOf(run.row.data, out), options).catch(() => ({
    train: [],
    val: [],
    classes: [],
  }));
  const limit = Math.max(1, Math.ceil((PROBE_BATCHES * batch) / Math.max(1, classes.length)));
  const valLimit = Math.max(1, Math.round((limit * val.length) / Math.max(1, train.length)));
  return {
    settings: { ...settings, limit, 'val-limit': valLimit, epochs: 2, verify: 0 },
    allPhotos: train.length + val.length,
  };
}
