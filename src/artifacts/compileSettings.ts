import { z } from 'zod';
import { stepSettings } from '../optim/stepSettings.js';
import { parsePolicy, showPolicy } from '../policy/policy.js';
import { choice, keysOf, numberBelow, setting, settings, wholeNumber } from '../settings.js';
import { parseChosen, PRESETS } from './preprocessing.js';

const group = 'Trained layers';

/** The new head, and the normalizations of trained layers. */
export const headSettings = settings({
  hidden: setting(z.array(wholeNumber(1), 'whole numbers, such as 512,256').readonly().default([]), {
    group,
    read: (text) => text.split(',').map(Number),
    help: 'units of fresh fully connected layers with ReLU before the head, from input to head, such as 512,256',
  }),
  head: setting(z.string('the name of a value').optional(), {
    group,
    // In a settings file `true` says what the flag alone does.
    read: (text) => (text === 'true' ? '' : text),
    mayBeBare: true,
    help: "puts a new fully connected layer on the model's result, or on the value or output of that name, in place of what is behind it: for models that give features or an embedding",
  }),
  dropout: setting(numberBelow(0, 1).default(0), {
    group,
    help: 'share of the inputs of the head and hidden layers that a step leaves out',
  }),
  warmStart: setting(z.boolean('true or false').default(true), {
    group,
    help: 'a model that was tuned before goes on with what its head has learned of classes that remain; ‹noWarmStart› begins the head anew',
  }),
  batchNorm: setting(choice(['frozen', 'batch']).default('frozen'), {
    group,
    flag: 'bn',
    help: "statistics of BatchNormalizations under trained layers: those of the model, or of the batch; evaluation takes the model's",
  }),
});

/** What of a model trains, and what goes into it. */
export const compileSettings = settings({
  policy: setting(
    z
      .string('a policy, such as F1C1')
      // Settings are compared, stored and sent to other processes: what goes on is the policy in its one spelling.
      .transform((text) => showPolicy(parsePolicy(text)))
      .default('F1C1'),
    { help: 'what to train: F1C0, F1C1, F2C3, FxC1, …, blocks:2, bias, lora:8, layers:<names>, or full' },
  ),
  seed: setting(wholeNumber(0).default(0), {
    help: 'what the new head, the order of photos and their split are drawn from',
  }),
  size: setting(wholeNumber(1).optional(), {
    help: 'side of the images in pixels, where the model takes any (default 224)',
  }),
  output: setting(z.string('the name of an output').optional(), {
    help: 'which output of the model has the classes, where there are several (default: the one that tells)',
  }),
  resize: setting(choice(['crop', 'squash']).optional(), {
    help: 'fit photos by cutting their edges, or by changing their aspect (default: as the model says, else crop)',
  }),
  preprocessing: setting(
    z
      .string(`one of ${keysOf(PRESETS).join(', ')}, or parts such as mean=0.5,std=0.5,crop=0.875`)
      .refine((text) => {
        parseChosen(text);
        return true;
      })
      .optional(),
    {
      help: `how pixels are normalised: ${keysOf(PRESETS).join(', ')}, or parts of mean=0.5/0.5/0.5,std=0.5/0.5/0.5,size=224,crop=0.875, numbers for red/green/blue of pixel/255 and the share of a photo's sides that is seen (default: as the model's metadata or a config.json of Hugging Face beside it says, else torchvision's)`,
    },
  ),
  precision: setting(choice(['fp32', 'mixed']).default('fp32'), {
    help: 'numbers that a step computes in: mixed takes float16 for convolutions and products of matrices, which pays on GPUs, and scales the loss',
  }),
  boundaryDtype: setting(choice(['float32', 'float16']).default('float32'), {
    flag: 'cache-dtype',
    help: 'how what the frozen part gives is kept: float16 takes half the room, and rounds to 11 bits',
  }),
});

/** What the flags of `ort-tl compile` can set. */
export const compileFlagSettings = {
  policy: compileSettings.policy,
  ...stepSettings,
  ...headSettings,
  precision: compileSettings.precision,
  boundaryDtype: compileSettings.boundaryDtype,
  seed: compileSettings.seed,
  size: compileSettings.size,
  output: compileSettings.output,
  resize: compileSettings.resize,
  preprocessing: compileSettings.preprocessing,
};
