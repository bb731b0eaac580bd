import { z } from 'zod';
import { stepSettings } from '../optim/stepSettings.js';
import { parsePolicy, policyNamed } from '../policy/policy.js';
import { choice, keysOf, numberBelow, setting, settings, wholeNumber } from '../settings.js';
import { PRESETS } from './preprocessing.js';

const group = 'Trained layers';

/** The new head, and the normalizations of trained layers. */
export const headSettings = settings({
  hidden: setting(z.array(wholeNumber(1), 'whole numbers, such as 512,256').readonly().default([]), {
    group,
    read: (text) => text.split(',').map(Number),
    help: 'units of fresh fully connected layers with ReLU before the head, from input to head, such as 512,256',
  }),
  dropout: setting(numberBelow(0, 1).default(0), {
    group,
    help: 'share of the inputs of the head and hidden layers that a step leaves out',
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
      .refine((text) => {
        parsePolicy(text);
        return true;
      })
      .transform(policyNamed)
      .default('F1C1'),
    { help: 'what to train: F1C0, F1C1, F2C3, FxC1, …, blocks:2, bias, layers:<names>, or full' },
  ),
  seed: setting(wholeNumber(0).default(0), {
    help: 'what the new head, the order of photos and their split are drawn from',
  }),
  size: setting(wholeNumber(1).optional(), {
    help: 'side of the images in pixels, where the model takes any (default 224)',
  }),
  resize: setting(choice(['crop', 'squash']).default('crop'), {
    help: 'fit photos by cutting their edges, or by changing their aspect',
  }),
  preprocessing: setting(choice(keysOf(PRESETS)).optional(), {
    help: "how pixels are normalised (default: as the model's metadata says, else torchvision)",
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
  boundaryDtype: compileSettings.boundaryDtype,
  seed: compileSettings.seed,
  size: compileSettings.size,
};
