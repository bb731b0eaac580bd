import { join } from 'node:path';
import type { CommandModule } from 'yargs';
import { openImageFolder } from '../data/imageFolder.js';
import { readModel } from '../onnx/model.js';
import { runName, train, type TrainOptions } from '../train/trainer.js';
import { number, shared, wholeNumber } from './options.js';
import { reportTraining } from './report.js';
import { classWeightsOf, type StepArguments, stepFlags, stepOptionsOf } from './stepOptions.js';
import { Terminal } from './terminal.js';

interface Arguments extends StepArguments {
  model: string;
  data: string;
  policy: string;
  epochs: number;
  lr: number | undefined;
  seed: number;
  size: number | undefined;
  resize: 'crop' | 'squash';
  'val-fraction': number;
  'max-bad': number;
  threads: number;
  verify: number | undefined;
  out: string | undefined;
  json: boolean;
  quiet: boolean;
}

export const trainVerb: CommandModule<object, Arguments> = {
  command: 'train',
  describe: 'train the chosen layers on a folder of photos',
  builder: (yargs) =>
    yargs
      .group(['model', 'data', 'policy', 'epochs', 'lr', 'out'], 'Training:')
      .option('model', shared.model)
      .option('data', {
        type: 'string',
        demandOption: true,
        requiresArg: true,
        describe: 'folder of photos: one folder a class, or train/ and val/',
      })
      .option('policy', shared.policy)
      .option('epochs', { type: 'number', default: 10, requiresArg: true, describe: 'passes over the photos' })
      .option('lr', {
        type: 'number',
        requiresArg: true,
        describe: 'peak learning rate (default: by optimizer and policy)',
      })
      .option('seed', shared.seed)
      .option('size', shared.size)
      .option('resize', {
        choices: ['crop', 'squash'] as const,
        default: 'crop' as const,
        describe: 'fit photos by cutting their edges, or by changing their aspect',
      })
      .option('val-fraction', {
        type: 'number',
        default: 0.2,
        requiresArg: true,
        describe: 'share kept for validation where the folder has no val/',
      })
      .option('max-bad', {
        type: 'number',
        default: 0.05,
        requiresArg: true,
        describe: 'share of unreadable photos that stops the run',
      })
      .option('threads', {
        type: 'number',
        default: 0,
        requiresArg: true,
        describe: 'threads of ONNX Runtime; 0: one for each core',
      })
      .option('verify', {
        type: 'number',
        requiresArg: true,
        describe: 'validation photos to run the exported model on again (default: all)',
      })
      .option('out', {
        type: 'string',
        requiresArg: true,
        describe: 'folder for the run (default: runs/<model>-<policy>)',
      })
      .options(stepFlags)
      .option('json', shared.json)
      .option('quiet', shared.quiet)
      .example('$0 train --model efficientnet_b0.onnx --data photos/', 'the last FC layer and the last convolution')
      .example('$0 train --model net.onnx --data photos/ --policy F1C0 --epochs 5', 'the last FC layer alone')
      .example('$0 train --model net.onnx --data photos/ --policy full --lr 1e-4', 'every layer')
      .example('$0 train --model net.onnx --data photos/ --policy full --batch 64 --accumulate 8', 'in less memory'),
  handler: async (args) => {
    const terminal = new Terminal(args);
    const seed = wholeNumber('seed', args.seed, 0);
    const dataset = await openImageFolder(args.data, {
      valFraction: number(
        'val-fraction',
        args['val-fraction'],
        'a share between 0 and 1',
        (value) => value > 0 && value < 1,
      ),
      seed,
    });
    const optional: { -readonly [Key in keyof TrainOptions]?: TrainOptions[Key] } = {};
    if (args.lr !== undefined)
      optional.learningRate = number('lr', args.lr, 'the learning rate to be a positive number', (value) => value > 0);
    if (args.size !== undefined) optional.size = wholeNumber('size', args.size, 1);
    if (args.verify !== undefined) optional.verify = wholeNumber('verify', args.verify, 0);
    if (args['class-weights'] !== undefined)
      optional.classWeights = classWeightsOf(args['class-weights'], dataset.classes);
    const threads = wholeNumber('threads', args.threads, 0);
    if (threads > 0) optional.threads = threads;

    const controller = new AbortController();
    const interrupt = () => {
      terminal.warn('finishing the step and saving; press Ctrl-C again to stop at once');
      process.once('SIGINT', () => process.exit(130));
      controller.abort();
    };
    process.once('SIGINT', interrupt);
    try {
      const summary = await reportTraining(
        terminal,
        dataset,
        train({
          ...stepOptionsOf(args),
          ...optional,
          model: readModel(args.model),
          dataset,
          policy: args.policy,
          out: args.out ?? join('runs', runName(args.model, args.policy)),
          epochs: wholeNumber('epochs', args.epochs, 1),
          seed,
          resize: args.resize,
          maxBad: number('max-bad', args['max-bad'], 'a share from 0 to 1', (value) => value >= 0 && value <= 1),
          signal: controller.signal,
        }),
      );
      terminal.json(summary);
      if (summary.stopped) process.exitCode = 130;
    } finally {
      process.off('SIGINT', interrupt);
    }
  },
};
