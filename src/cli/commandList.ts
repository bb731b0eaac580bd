import { lazily } from './verb.js';

/** In the order of the help. */
export const COMMANDS = [
  lazily('train', 'train the chosen layers on a folder of photos', () => import('./train.js')),
  lazily('data <path>', 'show what photos there are, and what is wrong with them', () => import('./data.js')),
  lazily('recommend', 'find how many layers are worth training', () => import('./recommend.js')),
  lazily('studio', 'collect photos, train and look in a page of your own machine', () => import('./studio.js')),
  lazily('predict [photos..]', 'classify photos with an exported model', () => import('./predict.js')),
  lazily('eval', 'measure an exported model on photos with known classes', () => import('./eval.js')),
  lazily('explain [photos..]', 'show where in a photo an exported model saw a class', () => import('./explain.js')),
  lazily('inspect [model]', 'show the layers of a model, and what a policy would cost', () => import('./inspect.js')),
  lazily('compile', 'write training artifacts for a model and a policy', () => import('./compile.js')),
  lazily(
    'fit <artifacts>',
    "train a device's share: parameters in, a few epochs, parameters out",
    () => import('./fit.js'),
  ),
  lazily('compare <runs..>', 'set runs side by side, over seeds', () => import('./compare.js')),
  lazily('export <run>', 'write what a run has learned as a model, or as a delta', () => import('./export.js')),
  lazily('apply', 'make a tuned model of a pretrained one and a delta', () => import('./apply.js')),
  lazily(
    'import-checkpoint <checkpoint>',
    "export what ONNX Runtime's on-device training has learned",
    () => import('./importCheckpoint.js'),
  ),
  lazily(
    'features [model]',
    "fill the cache with what a training keeps of photos, or a machine's part of it",
    () => import('./features.js'),
  ),
  lazily('cache <action> [names..]', 'list, remove or prune cached features of photos', () => import('./cache.js')),
  lazily(
    'models <action> [names..]',
    'list, load, find or remove networks that have a name',
    () => import('./models.js'),
  ),
  lazily('measure', 'run a command, and tell what it cost in time, memory and energy', () => import('./measure.js')),
  lazily(
    'bench <suite> [folders..]',
    'run a suite of trainings, and write a report of what each policy gives and costs',
    () => import('./bench.js'),
  ),
  lazily(
    'doctor',
    'tell what this machine offers: versions, providers, threads, energy meters',
    () => import('./doctor.js'),
  ),
  lazily('demo', 'train the embedded model on drawn pictures: no other file, no network', () => import('./demo.js')),
];
