import { dataSettings } from '../data/dataSettings.js';
import { energyChoices } from '../energy/meter.js';
import { choice, number, numberFrom, setting, settings, wholeNumber } from '../settings.js';
import { machineSettings } from '../train/runSettings.js';

const { memoryBytes, cache, threads } = machineSettings;

/** What training on a device can be told beside its artifacts, its photos and the parameters that it begins with. */
export const fitSettings = settings({
  epochs: setting(wholeNumber(0).default(1), { help: 'passes over the photos; 0: only evaluate the parameters' }),
  learningRate: setting(number('a positive number', (rate) => rate > 0 && Number.isFinite(rate)).optional(), {
    flag: 'lr',
    help: 'learning rate, the same at every step (default: by optimizer and policy)',
  }),
  warmupEpochs: setting(numberFrom(0).default(0), {
    flag: 'warmup',
    help: 'epochs, or a part of one, through which the learning rate rises',
  }),
  proximal: setting(numberFrom(0).default(0), {
    help: 'holds parameters near to those that it begins with: adds so much times half their squared distance to the loss (FedProx)',
  }),
  seed: setting(wholeNumber(0).default(0), {
    help: 'decides the order of the photos, and nothing else: which of them validate stays the same',
  }),
  maxBad: dataSettings.maxBad,
  memoryBytes,
  cache,
  threads,
});

/** Which photos validate, and what measures energy: what the flags of `ort-tl fit` can set beside {@link fitSettings}. */
export const fitFlagSettings = settings({
  ...fitSettings,
  valFraction: setting(numberFrom(0, 1).default(0.2), {
    code: 'bad-val-fraction',
    help: 'share of each class that validates where no photos are named to validate or to test with; 0: none, 1: all',
  }),
  energy: setting(choice(energyChoices).default('auto'), {
    help: 'what joules come from; auto: every counter of the machine, never an estimate',
  }),
  watts: setting(number('a positive number', (watts) => watts > 0).optional(), {
    help: 'what one busy core draws, for ‹energy› estimate',
  }),
});
