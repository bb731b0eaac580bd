import { existsSync } from 'node:fs';
import { join } from 'node:path';
import {
  checkRunFolder,
  checkUnlocked,
  defaultCacheFolder,
  hasCheckpoint,
  incidentalFlags,
  openDataset,
  providerCalled,
  readTrainFlags,
  type Recommendation,
  runName,
  settleRun,
  Trainer,
  type TrainFlags,
  trainFlagSettings,
  type TrainOptions,
  UserError,
  writeFileAtomically,
} from '../internal.js';
import { checkApart } from '../files.js';
import { jsonText, timestamp } from '../text.js';
import { shared } from './sharedFlags.js';
import { readSource } from './sourceModel.js';
import { Interruption } from './interruption.js';
import { meterFor, reportRecommendation } from './recommend.js';
import { reportTraining } from './report.js';
import { argumentsFile, argumentsOfRun, type FlagValues, readRunArguments, writeRunArguments } from './runArguments.js';
import { withSettings } from './settingFlags.js';
import { Terminal } from './terminal.js';
import type { Verb } from './verb.js';

interface Arguments {
  model: string;
  data: string | undefined;
  out: string | undefined;
  overwrite: boolean;
  resume: string | undefined;
  json: boolean;
  events: boolean;
  quiet: boolean;
}

/** What may stand beside --resume: flags that change nothing of what a run learns count for what is left of it. */
const BESIDE_RESUME: readonly string[] = [
  'resume',
  'json',
  'events',
  'quiet',
  'debug',
  'model',
  'data',
  ...incidentalFlags,
];
/** What `--policy auto` was decided from. A run that is resumed does not decide anew: its settings have the policy. */
const RECOMMENDATION_FILE = 'recommendation.json';
const AUTO = 'auto';

/** What was wrong with the settings file. */
let configError: UserError | undefined;

export const verb: Verb<Arguments> = {
  builder: (yargs) =>
    withSettings(
      yargs.option('model', shared.model).option('data', {
        type: 'string',
        requiresArg: true,
        describe:
          'photos: a folder (one folder a class, or train/ and val/), a .csv or .tsv list, a .zip or .tm file, or CIFAR .bin files',
      }),
      trainFlagSettings,
      { policy: '; auto: what ort-tl recommend finds, within --time-limit and --memory' },
    )
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
          return readRunArguments(path);
        } catch (thrown) {
          // yargs would make another error of it.
          if (!(thrown instanceof UserError)) throw thrown;
          configError = thrown;
          return {};
        }
      })
      .option('json', shared.json)
      .option('events', shared.events)
      .option('quiet', shared.quiet)
      .example('$0 train --data photos/', 'the network that comes with ort-tl: its last FC layer and last convolution')
      .example('$0 train --model efficientnet_b0.onnx --data photos/', 'the same, with a network of yours')
      .example('$0 train --model hf:Xenova/resnet-18 --data photos/', 'one from the Hugging Face hub')
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
    const { model: name, data, ...args } = whole(given);
    const isAuto = String(args['policy']).toLowerCase() === AUTO;
    const flags = readTrainFlags({ ...args, ...(isAuto ? { policy: undefined } : {}) });
    const dataset = await openDataset(data, flags);
    if (given.resume === undefined) checkApart(args.out ?? 'runs', data);
    let out = args.out;
    let trainer: Trainer | undefined;
    const howToGoOn = () =>
      out !== undefined && !trainer?.holdsOldRun && existsSync(argumentsFile(out))
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
      const { model, reference, title } = await readSource(terminal, name, signal);
      const options = { ...(await optionsOf(flags, args)), model, dataset, signal };
      const found = isAuto ? await choosePolicy(terminal, options, args) : undefined;
      const { policy } = found ?? flags;
      out ??= join('runs', `${timestamp(new Date())}-${runName(title, policy)}`);
      // A run that was stopped before its first checkpoint has nothing to go on with but its settings.
      const resume = args.resume !== undefined && hasCheckpoint(out);
      const overwrite = given.overwrite || args.resume !== undefined;
      terminal.event({ type: 'run', folder: out });
      const running = (trainer = new Trainer({ ...options, policy, out, resume, overwrite }));
      const summary = await reportTraining(terminal, dataset, running, async ({ type }) => {
        // Not earlier: settings that do not fit leave nothing behind.
        if (type !== 'compiled' || args.resume !== undefined) return;
        const { place } = running;
        await writeRunArguments(place, { ...args, model: reference, data, policy });
        if (found) await writeFileAtomically(join(place, RECOMMENDATION_FILE), `${jsonText(found, 2)}\n`);
      });
      terminal.json(summary);
      isStopped = summary.stopped;
      if (isStopped) process.exitCode = interruption.exitCode;
    } catch (thrown) {
      if (thrown instanceof UserError && thrown.code === 'stopped') process.exitCode = interruption.exitCode;
      else throw thrown;
      terminal.warn(`ort-tl: ${thrown.text}`);
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

type Whole = Arguments & FlagValues & { readonly data: string };

/** What is given, or what a run that is to go on was begun with. @throws UserError `bad-arguments`, and what {@link resumed} throws. */
function whole(given: Arguments & FlagValues): Whole {
  const args = given.resume === undefined ? given : resumed(given.resume, given);
  const { data } = args;
  if (data === undefined)
    throw new UserError('bad-arguments', 'expected --data, a folder of photos; see ort-tl train --help');
  return { ...args, data };
}

/**
 * The arguments that a run was begun with, with those that are `given` beside --resume in their place.
 * @throws UserError `bad-config`, or `bad-arguments` when flags would change what it learns.
 */
function resumed(folder: string, given: Arguments & FlagValues): Arguments & FlagValues {
  const flags = process.argv.flatMap((word) =>
    word.startsWith('--') ? [word.slice(2).split('=')[0]?.replace(/^no-/, '') ?? ''] : [],
  );
  const other = flags.find((flag) => !BESIDE_RESUME.includes(flag));
  settleRun(folder);
  if (other !== undefined) {
    const anew = other === 'config' ? '' : `, or begin a new run with --config ${argumentsFile(folder)} --${other} …`;
    const why = other === 'epochs' ? ', which its schedule is laid out for' : '';
    throw new UserError(
      'bad-arguments',
      `a run goes on with the settings that it was begun with${why}; leave out --${other}${anew}`,
    );
  }
  const beside = Object.fromEntries(Object.entries(given).filter(([name]) => flags.includes(name)));
  return { ...given, ...argumentsOfRun(folder), ...beside, out: folder };
}

/** What a training is told, apart from its model, its photos and its place. */
async function optionsOf(
  flags: TrainFlags,
  { cache }: FlagValues,
): Promise<Omit<TrainOptions, 'model' | 'dataset' | 'out'>> {
  const { task, valFraction, limit, valLimit, ...settings } = flags;
  const provider = await providerCalled(flags.provider);
  return { ...settings, provider, ...(cache === false ? {} : { cache: flags.cache ?? defaultCacheFolder() }) };
}

/** Finds the policy of a training for which `--policy auto` asks. */
function choosePolicy(
  terminal: Terminal,
  options: Omit<TrainOptions, 'out'>,
  { out, overwrite }: Pick<Arguments, 'out' | 'overwrite'>,
): Promise<Recommendation> {
  // Not after minutes of choosing.
  if (out !== undefined) {
    checkUnlocked(out);
    checkRunFolder(out, { overwrite });
  }
  return meterFor(undefined).then((meter) => reportRecommendation(terminal, { ...options, ...meter }));
}
