import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { stringify } from 'yaml';
import yargs from 'yargs';
import {
  calibrationMethods,
  checkStepOptions,
  checkRunFolder,
  checkUnlocked,
  defaultCacheFolder,
  hasCheckpoint,
  metricNames,
  mixesPhotos,
  openDataset,
  type OpenOptions,
  type Preset,
  providerCalled,
  providerNames,
  readModel,
  type Recommendation,
  runName,
  scheduleCalled,
  scheduleNames,
  settleRun,
  Trainer,
  type TrainOptions,
  type TrainSettings,
  UserError,
  variesPhotos,
  writeFileAtomically,
} from '../index.js';
import { checkApart } from '../files.js';
import { jsonText } from '../text.js';
import { type AugmentationArguments, augmentationFlags, augmentationFrom } from './augmentationFlags.js';
import { readConfig } from './config.js';
import {
  duration,
  keysOf,
  memorySize,
  MOST_THREADS,
  number,
  shared,
  share,
  valFraction,
  wholeNumber,
} from './options.js';
import { Interruption } from './interruption.js';
import { meterFor, reportRecommendation } from './recommend.js';
import { reportTraining } from './report.js';
import { type HeadArguments, headFlags, headOptionsOf } from './headFlags.js';
import { classWeightsOf, type StepArguments, stepFlags, stepOptionsOf } from './stepFlags.js';
import { Terminal } from './terminal.js';
import type { Verb } from './verb.js';
import { inOurWords } from './wording.js';

interface Arguments extends AugmentationArguments, StepArguments, HeadArguments {
  model: string | undefined;
  data: string | undefined;
  policy: string;
  epochs: number;
  lr: string | undefined;
  schedule: string;
  warmup: number;
  sampling: 'shuffled' | 'balanced';
  views: number;
  metric: (typeof metricNames)[number];
  patience: number | undefined;
  'time-limit': string | undefined;
  seed: number;
  size: number | undefined;
  resize: 'crop' | 'squash';
  preprocessing: Preset | undefined;
  'val-fraction': number;
  limit: number | undefined;
  'val-limit': number | undefined;
  'max-bad': number;
  memory: string | undefined;
  /** `false` for --no-cache. */
  cache: string | false | undefined;
  'cache-dtype': 'float32' | 'float16';
  frozen: 'float32' | 'int8';
  calibration: (typeof calibrationMethods)[number];
  threads: number;
  provider: string;
  verify: number | undefined;
  tensorboard: boolean;
  out: string | undefined;
  overwrite: boolean;
  resume: string | undefined;
  json: boolean;
  quiet: boolean;
}

/** Flags that change nothing of what a run learns: those beside --resume count for what is left of it. */
const BESIDE_RESUME: readonly string[] = [
  'resume',
  'json',
  'quiet',
  'debug',
  'model',
  'data',
  'threads',
  'provider',
  'memory',
  'time-limit',
  'cache',
  'verify',
  'tensorboard',
] satisfies (keyof Arguments | 'debug')[];
/** What --time-limit takes for no limit. */
const NO_LIMIT = 'none';
/** Flags that a settings file may stand in for. */
export const SETTINGS = [
  ...['model', 'data', 'policy', 'epochs', 'lr', 'schedule', 'warmup', ...keysOf(stepFlags)],
  ...keysOf(headFlags),
  ...['sampling', ...keysOf(augmentationFlags), 'views', 'preprocessing'],
  ...['metric', 'patience', 'time-limit', 'seed', 'size', 'resize', 'val-fraction', 'limit', 'val-limit'],
  ...['max-bad', 'threads', 'provider'],
  ...['cache', 'cache-dtype', 'frozen', 'calibration', 'memory'],
  ...['verify', 'tensorboard'],
] as const satisfies readonly (keyof Arguments)[];
/** Those that are true or false. */
export const SWITCHES = [
  'nesterov',
  'decay-all',
  'tensorboard',
] as const satisfies readonly (typeof SETTINGS)[number][];
/** Those that false does without, as their --no- flag does. */
const WAIVED = ['cache'] as const satisfies readonly (typeof SETTINGS)[number][];
const SETTINGS_FILE = 'args.yaml';
/** What `--policy auto` was decided from. A run that is resumed does not decide anew: its settings have the policy. */
const RECOMMENDATION_FILE = 'recommendation.json';
const AUTO = 'auto';

/** What was wrong with the settings file. */
let configError: UserError | undefined;

export const verb: Verb<Arguments> = {
  builder: (yargs) =>
    yargs
      .option('model', { ...shared.model, demandOption: false })
      .option('data', {
        type: 'string',
        requiresArg: true,
        describe:
          'photos: a folder (one folder a class, or train/ and val/), a .csv or .tsv list, a .zip or .tm file, or CIFAR .bin files',
      })
      .option('policy', {
        ...shared.policy,
        describe: `${shared.policy.describe}; auto: what ort-tl recommend finds, within --time-limit and --memory`,
      })
      .option('epochs', { type: 'number', default: 10, requiresArg: true, describe: 'passes over the photos' })
      .option('lr', {
        type: 'string',
        requiresArg: true,
        describe: 'peak learning rate, or auto to look for it (default: by optimizer and policy)',
      })
      .option('schedule', { choices: scheduleNames, default: 'cosine', describe: 'how the learning rate goes' })
      .option('warmup', {
        type: 'number',
        default: 0.5,
        requiresArg: true,
        describe: 'epochs through which the learning rate rises',
      })
      .options(stepFlags)
      .options(headFlags)
      .option('sampling', {
        choices: ['shuffled', 'balanced'] as const,
        default: 'shuffled' as const,
        describe: 'each photo once an epoch, or classes drawn evenly',
      })
      .options(augmentationFlags)
      .option('views', {
        type: 'number',
        default: 0,
        requiresArg: true,
        describe: 'augmented views of each photo, made once; 0: new ones each epoch, which runs the frozen part again',
      })
      .option('metric', {
        choices: metricNames,
        default: 'top1' as const,
        describe: 'by which the best epoch is chosen',
      })
      .option('patience', {
        type: 'number',
        requiresArg: true,
        describe: 'stop when the metric has not improved for so many epochs',
      })
      .option('time-limit', {
        type: 'string',
        requiresArg: true,
        describe: 'stop this call after such a time (90s, 10m, 1.5h), once the photos are read; none: no limit',
      })
      .option('seed', shared.seed)
      .option('size', shared.size)
      .option('resize', shared.resize)
      .option('preprocessing', shared.preprocessing)
      .option('val-fraction', shared['val-fraction'])
      .option('limit', {
        type: 'number',
        requiresArg: true,
        describe: 'the most photos of each class to train with, taken evenly from all of them',
      })
      .option('val-limit', {
        type: 'number',
        requiresArg: true,
        describe: 'the most photos of each class to validate with',
      })
      .option('max-bad', shared.maxBad)
      .option('memory', {
        type: 'string',
        requiresArg: true,
        describe:
          'the most memory to take, in MB or such as 2GB: else activations are computed again, then a batch is run in parts',
      })
      .option('cache', { ...shared.cache, describe: `${shared.cache.describe}; --no-cache does without` })
      .option('cache-dtype', shared['cache-dtype'])
      .option('frozen', {
        choices: ['float32', 'int8'] as const,
        default: 'float32' as const,
        describe:
          'numbers that the frozen part is computed in: int8 is faster and rounds; what it costs is told at the end',
      })
      .option('calibration', {
        choices: calibrationMethods,
        default: 'min-max' as const,
        describe: 'how --frozen int8 finds the ranges of activations on 128 training photos',
      })
      .option('threads', {
        type: 'number',
        default: 0,
        requiresArg: true,
        describe: 'threads of ONNX Runtime; 0: one for each core',
      })
      .option('provider', {
        choices: [...providerNames, 'auto'],
        default: 'cpu',
        describe: 'what ONNX Runtime runs on; auto: CUDA where it runs, else the CPU',
      })
      .option('verify', {
        type: 'number',
        requiresArg: true,
        describe: 'validation photos to run the exported model on again (default: 256)',
      })
      .option('tensorboard', { type: 'boolean', default: false, describe: 'also write an event file for TensorBoard' })
      .option('out', {
        type: 'string',
        requiresArg: true,
        describe: 'folder for the run (default: runs/<time>-<model>-<policy>)',
      })
      .option('overwrite', {
        type: 'boolean',
        default: false,
        describe: 'replace the run that --out holds, if it holds one',
      })
      .option('resume', { type: 'string', requiresArg: true, describe: 'folder of a run that is to go on' })
      .config('config', 'YAML file of settings, by the names of the flags; flags win', (path) => {
        try {
          return readConfig(path, SETTINGS, SWITCHES, WAIVED);
        } catch (thrown) {
          // yargs would make another error of it.
          if (!(thrown instanceof UserError)) throw thrown;
          configError = thrown;
          return {};
        }
      })
      .option('json', shared.json)
      .option('quiet', shared.quiet)
      .example('$0 train --model efficientnet_b0.onnx --data photos/', 'the last FC layer and the last convolution')
      .example('$0 train --model net.onnx --data photos/ --policy F1C0 --epochs 5', 'the last FC layer alone')
      .example('$0 train --model net.onnx --data photos/ --policy blocks:2', 'the last two blocks')
      .example('$0 train --model net.onnx --data photos/ --policy bias', 'biases and normalization shifts')
      .example('$0 train --model net.onnx --data photos/ --policy "layers:*layer4*"', 'the layers of that name')
      .example('$0 train --model net.onnx --data photos/ --policy F1C0 --hidden 512', 'a head of two layers')
      .example(
        '$0 train --model net.onnx --data photos.csv --flip 0.5 --random-crop 0.35 --views 4',
        'with augmentation',
      )
      .example('$0 train --model net.onnx --data photos/ --policy full --batch 64 --accumulate 8', 'in less memory')
      .example(
        '$0 train --model net.onnx --data photos/ --policy auto --time-limit 10m',
        'as many layers as are worth it',
      )
      .example('$0 train --resume runs/first', 'goes on where the run stopped'),
  handler: async (given) => {
    throwConfigError();
    const terminal = new Terminal(given);
    let args: Arguments =
      given.resume === undefined ? given : { ...given, ...settingsOfRun(given.resume, given), out: given.resume };
    if (args.model === undefined || args.data === undefined) {
      const missing = args.model === undefined ? '--model, a pretrained ONNX file' : '--data, a folder of photos';
      throw new UserError('bad-arguments', `expected ${missing}; see ort-tl train --help`);
    }
    const dataset = await openDataset(args.data, {
      valFraction: valFraction(args['val-fraction']),
      seed: wholeNumber('seed', args.seed, 0),
      ...(args.limit === undefined ? {} : { limit: wholeNumber('limit', args.limit, 1) }),
      ...(args['val-limit'] === undefined ? {} : { valLimit: wholeNumber('val-limit', args['val-limit'], 1) }),
    });
    if (given.resume === undefined) checkApart(args.out ?? 'runs', args.data);
    let out = args.out;
    let trainer: Trainer | undefined;
    const howToGoOn = () =>
      out !== undefined && !trainer?.holdsOldRun && existsSync(join(out, SETTINGS_FILE))
        ? [`go on with: ort-tl train --resume ${out}`]
        : [];
    const interruption = new Interruption(
      (what) => {
        terminal.warn(what);
      },
      'finishing the step and saving',
      howToGoOn,
    );
    const { signal } = interruption;
    let isStopped = true;
    try {
      const model = readModel(args.model);
      const settings = { ...optionsOf(args, dataset.classes), provider: await providerCalled(args.provider) };
      let found: Recommendation | undefined;
      if (args.policy.toLowerCase() === AUTO) {
        // Not after minutes of choosing.
        if (out !== undefined) {
          checkUnlocked(out);
          checkRunFolder(out, args);
        }
        const measured = { ...settings, ...(await meterFor(undefined)), model, dataset, signal };
        found = await reportRecommendation(terminal, measured);
        args = { ...args, policy: found.policy };
      }
      out ??= join('runs', `${timestamp(new Date())}-${runName(model.path, args.policy)}`);
      const options = { ...settings, policy: args.policy, model, dataset, out };
      // A run that was stopped before its first checkpoint has nothing to go on with but its settings.
      const folder = out;
      const resume = args.resume !== undefined && hasCheckpoint(folder);
      const overwrite = given.overwrite || args.resume !== undefined;
      const running = (trainer = new Trainer({ ...options, resume, overwrite, signal }));
      const summary = await reportTraining(terminal, dataset, running, async ({ type }) => {
        // Not earlier: settings that do not fit leave nothing behind.
        if (type !== 'compiled' || args.resume !== undefined) return;
        const { place } = running;
        await writeSettings(place, args);
        if (found) await writeFileAtomically(join(place, RECOMMENDATION_FILE), `${jsonText(found, 2)}\n`);
      });
      terminal.json(summary);
      isStopped = summary.stopped;
      if (isStopped) process.exitCode = interruption.exitCode;
    } catch (thrown) {
      if (thrown instanceof UserError && thrown.code === 'stopped') process.exitCode = interruption.exitCode;
      else throw thrown;
      terminal.warn(`ort-tl: ${thrown.message}`);
    } finally {
      interruption.close();
    }
    if (isStopped && signal.aborted) for (const line of howToGoOn()) terminal.warn(line);
  },
};

function throwConfigError(): void {
  const thrown = configError;
  // It is of this command line alone.
  configError = undefined;
  if (thrown) throw thrown;
}

function optionsOf(args: Arguments, classes: readonly string[]): Omit<TrainOptions, 'model' | 'dataset' | 'out'> {
  const optional: { -readonly [Key in keyof TrainOptions]?: TrainOptions[Key] } = {};
  if (args.lr !== undefined) {
    optional.learningRate =
      args.lr === 'auto'
        ? 'auto'
        : number('lr', Number(args.lr), 'the learning rate to be a positive number or auto', (value) => value > 0);
  }
  if (args.preprocessing !== undefined) optional.preprocessing = args.preprocessing;
  if (args.size !== undefined) optional.size = wholeNumber('size', args.size, 1);
  if (args.memory !== undefined) {
    if (args.accumulate > 1) throw new UserError('bad-arguments', 'expected --memory or --accumulate, not both');
    optional.memoryBytes = memorySize('memory', args.memory);
  }
  if (args.cache !== false) optional.cache = args.cache ?? defaultCacheFolder();
  if (args.verify !== undefined) optional.verify = wholeNumber('verify', args.verify, 0);
  if (args.patience !== undefined) optional.patience = wholeNumber('patience', args.patience, 1);
  if (args['time-limit'] !== undefined && args['time-limit'] !== NO_LIMIT)
    optional.timeLimitMs = duration('time-limit', args['time-limit']);
  const epochs = wholeNumber('epochs', args.epochs, 1);
  const views = wholeNumber('views', args.views, 0);
  const augmentation = augmentationFrom(args);
  if (views > 0 && !variesPhotos(augmentation) && !mixesPhotos(augmentation))
    throw new UserError(
      'bad-arguments',
      `expected an augmentation, such as --flip 0.5, that makes views differ beside \`${views}\` (--views)`,
    );
  return {
    ...stepOptionsOf(args),
    ...headOptionsOf(args),
    classWeights: classWeightsOf(args['class-weights'], classes),
    ...optional,
    policy: args.policy,
    epochs,
    schedule: scheduleCalled(args.schedule),
    warmupEpochs: number(
      'warmup',
      args.warmup,
      `a part of the ${epochs} epochs, 0 or more`,
      (value) => value >= 0 && value <= epochs,
    ),
    sampling: args.sampling,
    augmentation,
    views,
    metric: args.metric,
    seed: args.seed,
    resize: args.resize,
    boundaryDtype: args['cache-dtype'],
    frozen: args.frozen,
    calibration: { method: args.calibration },
    threads: wholeNumber('threads', args.threads, 0, MOST_THREADS),
    maxBad: share('max-bad', args['max-bad']),
    tensorboard: args.tensorboard,
  };
}

/** Reads settings as a training would, as far as it can without photos. @throws UserError for what makes no sense. */
export function checkSettings(settings: TrainSettings): void {
  const words = Object.entries(settings).map(([name, value]) => `--${name}=${value}`);
  const refuse = (message: string | null, thrown: Error | undefined) => {
    throw thrown ?? new UserError('bad-arguments', inOurWords(message ?? 'the settings do not fit'));
  };
  const args = verb.builder(yargs(words).exitProcess(false).fail(refuse)).parseSync();
  // Which classes there are the photos tell.
  optionsOf({ ...args, 'class-weights': 'equal' }, []);
  checkStepOptions(stepOptionsOf(args), 0);
}

/**
 * The settings that a run was begun with, with those that are `given` beside --resume in their place.
 * @throws UserError `bad-config`, or `bad-arguments` when flags would change what it learns.
 */
function settingsOfRun(folder: string, given: Arguments): Partial<Arguments> {
  const flags = process.argv.flatMap((word) =>
    word.startsWith('--') ? [word.slice(2).split('=')[0]?.replace(/^no-/, '') ?? ''] : [],
  );
  const other = flags.find((flag) => !BESIDE_RESUME.includes(flag));
  settleRun(folder);
  const settings = join(folder, SETTINGS_FILE);
  if (other !== undefined) {
    const anew = other === 'config' ? '' : `, or begin a new run with --config ${settings} --${other} …`;
    const why = other === 'epochs' ? ', which its schedule is laid out for' : '';
    throw new UserError(
      'bad-arguments',
      `a run goes on with the settings that it was begun with${why}; leave out --${other}${anew}`,
    );
  }
  if (!existsSync(settings))
    throw new UserError('cannot-resume', `${folder} holds no run: there is no ${SETTINGS_FILE} in it (--resume)`);
  const anew = Object.fromEntries(Object.entries(given).filter(([name]) => flags.includes(name)));
  return { ...readConfig(settings, SETTINGS, SWITCHES, WAIVED), ...anew };
}

/** What a run began with: its model and its photos, and how these were opened; what it does not say is left out. */
export interface RunSettings {
  readonly model?: string;
  readonly data?: string;
  readonly open: OpenOptions;
}

/** What a run's settings say it began with. @throws UserError `bad-config`. */
export function beginningOfRun(folder: string): RunSettings {
  settleRun(folder);
  const path = join(folder, SETTINGS_FILE);
  const settings = existsSync(path) ? readConfig(path, SETTINGS, SWITCHES, WAIVED) : {};
  const text = (name: string) => (typeof settings[name] === 'string' ? settings[name] : undefined);
  const amount = (key: keyof OpenOptions, name: string): OpenOptions =>
    typeof settings[name] === 'number' ? { [key]: settings[name] } : {};
  const [model, data] = [text('model'), text('data')];
  return {
    ...(model === undefined ? {} : { model }),
    ...(data === undefined ? {} : { data }),
    open: {
      ...amount('valFraction', 'val-fraction'),
      ...amount('seed', 'seed'),
      ...amount('limit', 'limit'),
      ...amount('valLimit', 'val-limit'),
    },
  };
}

/** Writes what repeats the run: `ort-tl train --config args.yaml`. */
export async function writeSettings(
  out: string,
  args: Partial<Pick<Arguments, (typeof SETTINGS)[number]>>,
): Promise<void> {
  const settings = Object.fromEntries(
    SETTINGS.flatMap((name) => {
      const value = args[name];
      if (value === undefined) return [];
      return [[name, name === 'model' || name === 'data' ? resolve(String(value)) : value]];
    }),
  );
  await writeFileAtomically(join(out, SETTINGS_FILE), stringify(settings));
}

/** 20261125-091500, in local time. */
function timestamp(date: Date): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}${two(date.getMonth() + 1)}${two(date.getDate())}`;
  return `${day}-${two(date.getHours())}${two(date.getMinutes())}${two(date.getSeconds())}`;
}
