import { z } from 'zod';
import { augmentation } from '../data/augment/augmentationSettings.js';
import { scheduleNames } from '../optim/schedule.js';
import { parseDuration, parseMemory } from '../quantities.js';
import { calibrationMethods } from '../quantize/calibration.js';
import { providerNames } from '../runtime/providers.js';
import { choice, joined, number, numberFrom, setting, settings, wholeNumber } from '../settings.js';
import { metricNames } from './metrics.js';

/** More threads than any machine of today has; ONNX Runtime would start as many as it is told. */
const MOST_THREADS = 1024;
const RATE = 'the learning rate to be a positive number or auto';
const isIncidental = true;
const yesOrNo = z.boolean('true or false');

/** How long a training goes on, at which rates, and what it is judged by. */
export const loopSettings = settings({
  init: setting(z.string('a file').optional(), {
    help: "a safetensors file of parameters to begin with, such as a run's best/checkpoint.safetensors, in place of the model's",
  }),
  epochs: setting(wholeNumber(1).default(10), { help: 'passes over the photos' }),
  learningRate: setting(z.union([number(RATE, (rate) => rate > 0), z.literal('auto')], RATE).optional(), {
    flag: 'lr',
    read: (text) => (Number.isNaN(Number(text)) ? text : Number(text)),
    help: 'peak learning rate, or auto to look for it (default: by optimizer and policy)',
  }),
  schedule: setting(choice(scheduleNames).default('cosine'), {
    code: 'bad-schedule',
    help: 'how the learning rate goes',
  }),
  plateauPatience: setting(wholeNumber(0).default(3), {
    help: 'epochs without a lower validation loss that ‹schedule› plateau waits before it takes a tenth of the learning rate',
  }),
  warmupEpochs: setting(numberFrom(0).default(0.5), {
    flag: 'warmup',
    help: 'epochs, or a part of one, through which the learning rate rises',
  }),
  sampling: setting(choice(['shuffled', 'balanced']).default('shuffled'), {
    help: 'each photo once an epoch, or classes drawn evenly',
  }),
  augmentation,
  views: setting(wholeNumber(0).default(0), {
    help: 'augmented views of each photo, made once and taken in turn; 0: new ones each epoch, which runs the frozen part again',
  }),
  metric: setting(choice(metricNames).optional(), {
    help: 'by which the best epoch is chosen (default: top1; of ‹task› labels map, the mean average precision)',
  }),
  patience: setting(wholeNumber(1).nullable().default(null), {
    help: 'stop when the metric has not improved for so many epochs',
  }),
  timeLimitMs: setting(number('a duration, such as 10m', (ms) => ms > 0).optional(), {
    flag: 'time-limit',
    read: (text) => (text === 'none' ? undefined : parseDuration(text)),
    isIncidental,
    help: 'stop this call after such a time (90s, 10m, 1.5h), once the photos are read; none: no limit',
  }),
});

/** Where a training runs, in which numbers, and what it keeps. */
export const machineSettings = settings({
  memoryBytes: setting(number('a size, such as 2GB', (bytes) => bytes > 0).optional(), {
    flag: 'memory',
    read: parseMemory,
    isIncidental,
    help: 'the most memory to take, in MB or such as 2GB: else activations are computed again, then a batch is run in parts',
  }),
  cache: setting(z.string('a folder').optional(), {
    isIncidental,
    isOptional: true,
    help: 'folder of the feature cache (default: ORT_TL_CACHE, or where the system keeps such things); ‹noCache› does without',
  }),
  frozen: setting(choice(['float32', 'int8']).default('float32'), {
    help: 'numbers that the frozen part is computed in: int8 is faster and rounds; what it costs is told at the end',
  }),
  calibration: joined(
    z
      .strictObject({ method: z.enum(calibrationMethods).default('min-max'), photos: wholeNumber(1).default(128) })
      .prefault({}),
    {
      calibration: setting(choice(calibrationMethods).default('min-max'), {
        help: 'how ‹frozen› int8 finds the ranges of activations on 128 training photos',
      }),
    },
    ({ calibration }) => ({ method: calibration }),
  ),
  threads: setting(wholeNumber(0, MOST_THREADS).default(0), {
    isIncidental,
    help: 'cores to use in all, shared among images where these are many; 0: all',
  }),
  parallel: setting(choice(['auto', 'images', 'operators']).default('auto'), {
    isIncidental,
    help: 'what cores share in a step: the images of a batch, each core a part, or the inside of operators; auto: images where a step computes much for each parameter that it trains',
  }),
  provider: setting(choice([...providerNames, 'auto']).default('cpu'), {
    isIncidental,
    help: 'what ONNX Runtime runs on; auto: CUDA where it runs, else the CPU',
  }),
  // Another function differs on every photo, and its logits are compared: few photos show it.
  verify: setting(wholeNumber(0).default(64), {
    isIncidental,
    help: 'validation photos, spread evenly, to run the exported model on again',
  }),
  tensorboard: setting(yesOrNo.default(false), { isIncidental, help: 'also write an event file for TensorBoard' }),
});
