import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import {
  type Bits,
  bitsOfExport,
  bitsOfFiles,
  bitsOfRun,
  bitsOfSuite,
  bitsOfText,
  differences,
  summaryOf,
} from './bits.js';
import { main } from './command.js';
import { below, type Place } from './place.js';
import { OLDER_SEED, type Scenery, SMALL_MODEL } from './scenery.js';

/** A command that is interrupted again and again. */
export interface KillCase {
  readonly name: string;
  /** The words behind ort-tl. They name places relative to {@link Place.work}, so that no two tries differ in them. */
  readonly words: readonly string[];
  /** Variables of its environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** What lies there before. */
  readonly before?: (place: Place) => void;
  /** Whether `--time-limit` ends it too. */
  readonly takesTimeLimit?: boolean;
  /** What to run after it ended with `code`; undefined where there is nothing to go on with. */
  readonly next: (place: Place, code: number) => readonly string[] | undefined;
  /** Every how many tries that is run where it resumes no run; default 1. What begins anew tells much the same each time. */
  readonly beginsAnewEvery?: number;
  /** What ends in the same bits unbroken, where that is not the command itself. */
  readonly unbroken?: (place: Place) => readonly string[];
  readonly bits: (place: Place, stdout: string) => Bits;
  /** What is wrong with what a cut-off command has left, beside files that cannot be read. */
  readonly faults?: (place: Place, stdout: string) => string[];
}

export interface CaseOptions {
  readonly scenery: Scenery;
  /** Of the trainings; default the embedded model, on drawn pictures. */
  readonly model?: string;
  readonly data?: string;
  /** Multiplies epochs, so that a case takes long enough. */
  readonly scale: number;
}

const OUT = 'out';

export function killCases(options: CaseOptions): KillCase[] {
  return [...trainings(options), ...(options.model === undefined ? others(options.scenery) : [])];
}

/** A run that was stopped goes on; one that left nothing to go on with begins again. */
function goesOn({ work }: Place, code: number, words: readonly string[]): readonly string[] | undefined {
  const out = join(work, OUT);
  const hitsLimit = summaryOf(out)?.endedBy === 'time-limit';
  if (code === 0 && !hitsLimit) return undefined;
  const settings = join(out, 'args.yaml');
  if (!existsSync(settings)) return words;
  // As its user would who wants it to end.
  const text = readFileSync(settings, 'utf8');
  if (hitsLimit) writeFileSync(settings, text.replace(/^time-limit: .*\n/m, ''));
  return ['train', '--resume', OUT];
}

function trainings({ scenery, model, data, scale }: CaseOptions): KillCase[] {
  const place = ['--model', model ?? SMALL_MODEL, '--data', data ?? scenery.pictures, '--out', OUT];
  const isLarge = model !== undefined;
  // Enough steps for an epoch to be cut off in its middle.
  const limits = isLarge ? ['--limit', '40', '--val-limit', '20'] : ['--batch', '4'];
  const epochs = (count: number) => ['--epochs', String(Math.max(2, Math.round(isLarge ? 3 : scale * count)))];
  const training = (name: string, ...settings: string[]): KillCase => {
    const words = ['train', ...place, ...limits, ...settings];
    return {
      name: `train-${name}`,
      words,
      takesTimeLimit: true,
      beginsAnewEvery: 3,
      next: (at, code) => goesOn(at, code, words),
      bits: ({ work }) => bitsOfRun(join(work, OUT)),
    };
  };
  // Runs beside each other disturb each other less.
  const alone = ['--threads', '1'];
  const F1C1 = training('F1C1', '--policy', 'F1C1', ...epochs(4));
  const augmentation = ['--flip', '0.5', '--random-crop', '0.35'];
  const augmented = training('augmented', '--policy', 'F1C0', ...augmentation, ...alone, ...epochs(3));
  const full = training('full', '--policy', 'full', ...epochs(2));
  if (isLarge) return [F1C1, augmented, full];
  return [
    F1C1,
    augmented,
    full,
    training('int8', '--policy', 'F1C1', '--frozen', 'int8', ...alone, ...epochs(3)),
    training('lr-auto', '--policy', 'F1C1', '--lr', 'auto', ...epochs(3)),
    automatic(training('auto', '--policy', 'auto', ...alone, ...epochs(2))),
    overwriting(training('overwrite', '--policy', 'F1C1', '--overwrite', ...alone, ...epochs(3)), scenery),
  ];
}

/** Which policy is chosen hangs on what was measured; with that policy the training is the same as any other. */
function automatic(training: KillCase): KillCase {
  const run = ({ work }: Place) => join(work, OUT);
  const chosen = (place: Place) => settingOf(run(place), 'policy') ?? 'auto';
  const notes = ['files'];
  return {
    ...training,
    unbroken: (place) => training.words.map((word) => (word === 'auto' ? chosen(place) : word)),
    bits: (place) =>
      Object.fromEntries(Object.entries(bitsOfRun(run(place))).filter(([name]) => !notes.includes(name))),
  };
}

const settingsSchema = z.looseObject({ policy: z.string(), seed: z.number() });

function settingOf(run: string, name: 'policy' | 'seed'): string | undefined {
  const path = join(run, 'args.yaml');
  if (!existsSync(path)) return undefined;
  return String(settingsSchema.parse(parse(readFileSync(path, 'utf8')))[name]);
}

/** What a run has learned, and what it tells of that. */
const RESULTS = [
  'model.onnx',
  'best/checkpoint.safetensors',
  'last/checkpoint.safetensors',
  'results.csv',
  'summary.json',
];

/** An older run is whole until the new one takes its place, and gone from then on. */
function overwriting(training: KillCase, { older }: Scenery): KillCase {
  const before = bitsOfFiles(older);
  const isOlder = (out: string) => settingOf(out, 'seed') === String(OLDER_SEED);
  return {
    ...training,
    before: ({ work }) => cpSync(older, join(work, OUT), { recursive: true }),
    next: (place, code) => {
      if (code !== 0 && isOlder(join(place.work, OUT))) return training.words;
      return training.next(place, code);
    },
    faults: ({ work }) => {
      const out = join(work, OUT);
      const now = bitsOfFiles(out);
      if (isOlder(out)) {
        const changed = Object.keys(before).filter((name) => before[name] !== now[name]);
        return changed.length === 0 ? [] : [`of the older run, these are gone or changed: ${changed.join(', ')}`];
      }
      const stayed = RESULTS.filter((name) => before[name] !== undefined && before[name] === now[name]);
      return stayed.length === 0
        ? []
        : [`beside the new run's settings lie files of the older one: ${stayed.join(', ')}`];
    },
  };
}

function others(scenery: Scenery): KillCase[] {
  const again = (words: readonly string[]) => (_: Place, code: number) => (code === 0 ? undefined : words);
  const simple = (name: string, words: readonly string[], bits: KillCase['bits']): KillCase => ({
    ...{ name, words, bits },
    next: again(words),
  });
  const model = join(scenery.tuned, 'model.onnx');
  const output = (_: Place, stdout: string) => bitsOfText(stdout);
  const files = ({ work }: Place) => bitsOfFiles(join(work, OUT));
  return [
    {
      ...simple(
        'recommend',
        ['recommend', '--model', SMALL_MODEL, '--data', scenery.pictures, '--epochs', '2'],
        () => ({}),
      ),
      beginsAnewEvery: 5,
    },
    bench(),
    exporting('export-int8', ['--precision', 'int8'], 'small.onnx', scenery),
    exporting('export-web', ['--format', 'web'], 'page', scenery),
    {
      ...simple('eval', ['eval', '--model', model, '--data', scenery.pictures, '--split', 'all'], output),
      beginsAnewEvery: 5,
    },
    {
      ...simple('predict', ['predict', '--model', model, scenery.pictures, '--csv'], output),
      beginsAnewEvery: 5,
      faults: (_, stdout) =>
        stdout === '' || stdout.endsWith('\n') ? [] : ['the last line on standard output is cut off'],
    },
    {
      ...simple('data', ['data', scenery.pictures, '--html', OUT], ({ work }) => bitsOfFiles(work)),
      beginsAnewEvery: 3,
    },
    simple('explain', ['explain', '--model', model, join(scenery.pictures, 'val', 'boat'), '--out', OUT], files),
    {
      ...simple('demo', ['demo', '--out', OUT, '--epochs', '1'], ({ work }) => ({
        ...bitsOfFiles(join(work, OUT, 'pictures')),
        ...prefixed('F1C0', bitsOfRun(join(work, OUT, 'F1C0'))),
        ...prefixed('F1C1', bitsOfRun(join(work, OUT, 'F1C1'))),
      })),
      beginsAnewEvery: 10,
    },
    compiling(),
    measuring(scenery),
    removing('cache-rm', ['rm', '--all'], scenery),
    removing('cache-prune', ['prune', '--older-than', '1ms'], scenery),
  ];
}

const prefixed = (prefix: string, bits: Bits): Bits =>
  Object.fromEntries(Object.entries(bits).map(([name, value]) => [`${prefix}/${name}`, value]));

/** Its trainings take longer than they may outlive it. */
const SUITE = `
models: { small: { path: small_cnn } }
data: { pictures: { drawn: { train: 12, val: 6 }, target: 0.9 } }
policies: [F1C1]
seeds: [0, 1]
warm-up: false
train: { epochs: 3, batch: 4 }
energy: { source: none, idle: 0 }
`;

function bench(): KillCase {
  const words = ['bench', 'suite.yaml', '--out', OUT];
  return {
    name: 'bench',
    words,
    before: ({ work }) => writeFileSync(join(work, 'suite.yaml'), SUITE),
    next: (_, code) => (code === 0 ? undefined : words),
    bits: ({ work }) => bitsOfSuite(join(work, OUT)),
  };
}

/** Over what an earlier export wrote. */
function exporting(name: string, flags: readonly string[], out: string, { tuned, older }: Scenery): KillCase {
  const words = ['export', tuned, ...flags, '--out', out];
  // Any model will do for the older one, which is not read; as a page, the same files with other contents.
  const place = ({ work }: Place) => join(work, out);
  const isPage = name === 'export-web';
  const before = readFileSync(join(older, 'model.onnx'));
  return {
    name,
    words,
    before: (at) => {
      if (!isPage) writeFileSync(place(at), before);
    },
    next: (_, code) => (code === 0 ? undefined : words),
    bits: (at) => bitsOfExport(at.work),
    faults: (at) => (isPage || existsSync(place(at)) ? [] : ['the older export is gone, and there is no new one']),
  };
}

/** Over the artifacts of another policy. */
function compiling(): KillCase {
  const words = (policy: string) => [
    'compile',
    '--model',
    SMALL_MODEL,
    '--policy',
    policy,
    '--classes',
    'a,b',
    '--out',
    OUT,
  ];
  return {
    name: 'compile',
    words: words('full'),
    next: (_, code) => (code === 0 ? undefined : words('full')),
    bits: ({ work }) => bitsOfFiles(join(work, OUT)),
  };
}

/** A training, which is told of every signal that its measurement is told of. */
function measuring({ pictures }: Scenery): KillCase {
  const train = [
    'train',
    '--model',
    SMALL_MODEL,
    '--data',
    pictures,
    '--policy',
    'F1C1',
    '--epochs',
    '6',
    '--out',
    OUT,
  ];
  const words = ['measure', '--idle', '0', '--', process.execPath, main, ...train];
  return {
    name: 'measure',
    words,
    next: (place, code) => goesOn(place, code, words),
    bits: ({ work }) => bitsOfRun(join(work, OUT)),
  };
}

/** Stores in a cache, and files in each: enough that removing them takes a while. */
const STORES = 20;
const SEGMENTS = 200;

/** What is left of a cache is shown and used, and a training with it is the same as any other. */
function removing(name: string, words: readonly string[], { cache, pictures }: Scenery): KillCase {
  const train = [
    'train',
    '--model',
    SMALL_MODEL,
    '--data',
    pictures,
    '--policy',
    'F1C1',
    '--epochs',
    '1',
    '--out',
    OUT,
  ];
  return {
    name,
    words: ['cache', ...words],
    before: (place) => fillCache(cache, place.cache),
    next: (place, code) => (code === 0 && existsSync(join(place.work, OUT)) ? undefined : goesOn(place, 1, train)),
    beginsAnewEvery: 3,
    unbroken: () => train,
    bits: ({ work }) => bitsOfRun(join(work, OUT)),
    faults: (place) => {
      const hidden = readdirSync(place.cache).filter((store) => {
        const inside = below(join(place.cache, store));
        return inside.length > 0 && !inside.includes('layout.json');
      });
      return hidden.length === 0 ? [] : [`ort-tl cache no longer shows ${hidden.length} stores that still take space`];
    },
  };
}

function fillCache(from: string, to: string): void {
  cpSync(from, to, { recursive: true });
  const [store = ''] = readdirSync(from);
  for (let copy = 0; copy < STORES; copy++) {
    const folder = join(to, `${store.slice(0, -2)}${String(copy).padStart(2, '0')}`);
    mkdirSync(folder, { recursive: true });
    copyFileSync(join(from, store, 'layout.json'), join(folder, 'layout.json'));
    for (let segment = 0; segment < SEGMENTS; segment++)
      for (const kind of ['rows', 'index']) writeFileSync(join(folder, `${segment}-0123456789ab.${kind}`), kind);
  }
}

/** What differs between two results, in words; nothing where they are the same. */
export function otherBits(found: Bits, wanted: Bits): string[] {
  const names = differences(found, wanted);
  return names.length === 0 ? [] : [`other bits than an unbroken one: ${names.join(', ')}`];
}
