import { compileSettings, headSettings } from '../artifacts/compileSettings.js';
import { dataSettings } from '../data/dataSettings.js';
import { stepSettings } from '../optim/stepSettings.js';
import { number, numberAbove, setting, settings } from '../settings.js';
import { loopSettings, machineSettings } from '../train/runSettings.js';

/** How a policy is chosen. */
export const recommendSettings = settings({
  tolerance: setting(number('a share from 0 to 1', (value) => value >= 0 && value <= 1).default(0.01), {
    help: 'share of photos by which a more costly policy has to be more accurate',
  }),
  // A tenth of a sweep with three seeds.
  effort: setting(numberAbove(0).default(0.3), {
    help: 'what choosing may take, as a share of training once by every policy',
  }),
});

const { seed, size, output, resize, preprocessing } = compileSettings;
const { task, valFraction, maxBad } = dataSettings;
const { epochs, learningRate } = loopSettings;
const { memoryBytes, threads, provider } = machineSettings;

/** What the flags of `ort-tl recommend` can set: all that has a say in what policies give and cost, and how one is chosen. */
export const recommendFlagSettings = {
  ...{ memoryBytes },
  ...recommendSettings,
  ...{ epochs, learningRate },
  ...stepSettings,
  ...headSettings,
  ...{ seed, size, output, resize, preprocessing, task, valFraction, maxBad, threads, provider },
};
