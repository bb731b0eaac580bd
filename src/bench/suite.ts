import { existsSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { closestMatch } from 'leven';
import { type Document, isMap, isNode, isScalar, LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import { type EnergyChoice, energyChoices } from '../energy/meter.js';
import { messageOf, UserError } from '../errors.js';
import { flagNamed } from '../flagNames.js';
import { fileReason, MOST_BYTES, readRegularFileSync } from '../files.js';
import { parsePolicy } from '../policy/policy.js';
import { keySetTwice } from './keySetTwice.js';
import { modelPath } from './models.js';

const count = z.number().int().positive();
const name = z.string().regex(/^[\w.+-]+$/, 'expected a name of letters, digits and any of _ . + -');
const setting = z.union([z.string(), z.number(), z.boolean()]);
const settings = z.record(z.string(), setting);
const policy = z.string().superRefine((text, context) => {
  try {
    parsePolicy(text);
  } catch (thrown) {
    if (!(thrown instanceof UserError)) throw thrown;
    context.addIssue({ code: 'custom', message: thrown.message });
  }
});
const policies = z.array(policy).min(1);
const seeds = z.array(z.number().int().nonnegative()).min(1);

const modelSchema = z.strictObject({
  path: z.string(),
  title: z.string().optional(),
  train: settings.optional(),
});

const drawnSchema = z.strictObject({
  train: count,
  val: count,
  size: count.default(48),
  seed: z.number().int().nonnegative().default(0),
});

const dataSchema = z
  .strictObject({
    path: z.string().optional(),
    drawn: drawnSchema.optional(),
    title: z.string().optional(),
    target: z.union([z.number().gt(0).max(1), z.literal('baseline')]).default('baseline'),
    train: settings.optional(),
  })
  .refine((data) => (data.path === undefined) !== (data.drawn === undefined), {
    message: 'expected either `path`, where photos are, or `drawn`, how many to draw',
  });

const paperSchema = z.strictObject({
  fc: z.number(),
  fxc1: z.number(),
  'energy-fc': z.number(),
  'energy-fxc1': z.number(),
  gain: z.number(),
  faster: z.number(),
});
/** A row of the paper's Table 2: accuracies in percent, energies in nJ, gain and faster convergence in percent. */
export type PaperFigures = z.infer<typeof paperSchema>;

const rowSchema = z.strictObject({
  name: name.optional(),
  title: z.string().optional(),
  model: z.string(),
  data: z.string(),
  policies: policies.optional(),
  seeds: seeds.optional(),
  train: settings.optional(),
  paper: paperSchema.optional(),
});

const energySchema = z.strictObject({
  source: z.enum(energyChoices).default('auto'),
  watts: z.number().positive().optional(),
  idle: z.number().nonnegative().default(10),
});

const suiteSchema = z.strictObject({
  name: name.optional(),
  title: z.string().optional(),
  description: z.string().optional(),
  models: z.record(name, z.union([z.string(), modelSchema])),
  data: z.record(name, z.union([z.string(), dataSchema])),
  policies: policies.default(['F1C0', 'F1C1']),
  baseline: policy.default('F1C0'),
  seeds: seeds.default([0]),
  train: settings.optional(),
  vary: z.record(z.string(), z.array(setting).min(1)).default({}),
  rows: z.array(rowSchema).min(1).optional(),
  repeat: count.default(1),
  cache: z.enum(['cold', 'warm', 'both']).default('cold'),
  'warm-up': z.boolean().default(true),
  order: z.number().int().nonnegative().default(0),
  energy: energySchema.prefault({}),
  report: z.enum(['policies', 'growth']).default('policies'),
});

type Setting = string | number | boolean;
export type CacheState = 'cold' | 'warm';
/** Settings of a training, by the names of the flags of `ort-tl train`. */
export type TrainSettings = Readonly<Record<string, string | number | boolean>>;

export interface SuiteModel {
  readonly name: string;
  readonly title: string;
  readonly path: string;
}

export interface SuiteData {
  readonly name: string;
  readonly title: string;
  /** Where photos are; undefined where they are drawn. */
  readonly path: string | undefined;
  readonly drawn: z.infer<typeof drawnSchema> | undefined;
  /** The accuracy to reach, 0 to 1; `baseline`: the best of the baseline policy with the same seed. */
  readonly target: number | 'baseline';
}

/** A model on a data set, under some settings: what the policies are compared on. */
export interface SuiteRow {
  readonly name: string;
  readonly title: string;
  readonly model: SuiteModel;
  readonly data: SuiteData;
  readonly policies: readonly string[];
  readonly seeds: readonly number[];
  readonly train: TrainSettings;
  /** The values that this row has of what the suite varies. */
  readonly varied: TrainSettings;
  readonly paper: PaperFigures | undefined;
  /** What it lacks to be run. */
  readonly missing: string | undefined;
}

export interface Suite {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly file: string;
  readonly rows: readonly SuiteRow[];
  readonly baseline: string;
  readonly repeat: number;
  readonly caches: readonly CacheState[];
  readonly warmUp: boolean;
  /** Seed of the order of the runs. */
  readonly order: number;
  readonly energy: { readonly source: EnergyChoice; readonly watts?: number | undefined; readonly idle: number };
  readonly report: 'policies' | 'growth';
}

export interface SuiteOptions {
  /** What `train` may set: the flags of `ort-tl train`. */
  readonly settings: readonly string[];
  /** Those that are true or false. */
  readonly switches: readonly string[];
  /** Refuses values that a training would refuse, with the flag in brackets: (--lr). @throws UserError */
  readonly check?: (settings: TrainSettings) => void;
  /** Paths in place of those that the suite names. */
  readonly models?: Readonly<Record<string, string>>;
  readonly data?: Readonly<Record<string, string>>;
}

/** What the suite itself decides of each run. */
const DECIDED = ['model', 'data', 'policy', 'seed', 'cache'];

/** Which keys there are, by where they stand. */
const KEYS: readonly (readonly [RegExp, readonly string[]])[] = [
  [/^$/, Object.keys(suiteSchema.shape)],
  [/^models\/[^/]+$/, Object.keys(modelSchema.shape)],
  [/^data\/[^/]+$/, Object.keys(dataSchema.shape)],
  [/^data\/[^/]+\/drawn$/, Object.keys(drawnSchema.shape)],
  [/^rows\/\d+$/, Object.keys(rowSchema.shape)],
  [/^rows\/\d+\/paper$/, Object.keys(paperSchema.shape)],
  [/^energy$/, Object.keys(energySchema.shape)],
];

/**
 * Reads a suite of trainings. Paths are relative to the suite's file; what is not there makes its rows missing, and is no error.
 * @throws UserError `bad-suite`, with the line, for a file that cannot be read or that does not say what a suite does.
 */
export function readSuite(file: string, options: SuiteOptions): Suite {
  let source: string;
  try {
    source = readRegularFileSync(file, MOST_BYTES.settings).toString('utf8');
  } catch (thrown) {
    throw new UserError('bad-suite', `cannot read ${file}: ${fileReason(thrown)}`);
  }
  const lines = new LineCounter();
  const document = parseDocument(source, { lineCounter: lines, prettyErrors: false, uniqueKeys: false });
  const refuse = (path: Path, reason: string, atKey = false) => {
    const line = lines.linePos(offsetOf(document, path, atKey)).line;
    const where = path.length === 0 ? '' : ` (${path.join('.')})`;
    return new UserError('bad-suite', `${file}, line ${line}: ${reason}${where}`);
  };
  const [error] = document.errors;
  if (error)
    throw new UserError('bad-suite', `${file}, line ${lines.linePos(error.pos[0]).line}: not YAML: ${error.message}`);
  let content: unknown;
  try {
    const twice = keySetTwice(document);
    if (twice) {
      const { line } = lines.linePos(twice.range?.[0] ?? 0);
      throw new UserError('bad-suite', `${file}, line ${line}: \`${String(twice.value)}\` is set twice`);
    }
    content = document.toJS();
  } catch (thrown) {
    if (thrown instanceof UserError) throw thrown;
    // It is nested too deeply, or aliases of aliases would become gigabytes.
    throw new UserError('bad-suite', `${file}: ${messageOf(thrown)}`);
  }
  const parsed = suiteSchema.safeParse(content, { reportInput: true });
  if (!parsed.success) throw refusalOf(parsed.error.issues, refuse);
  const suite = parsed.data;

  const check = (settingsHere: Readonly<Record<string, Setting | readonly Setting[]>> | undefined, path: Path) => {
    for (const [key, value] of Object.entries(settingsHere ?? {})) {
      if (DECIDED.includes(key))
        throw refuse([...path, key], `the suite decides \`${key}\` of each run, and \`train\` may not set it`, true);
      if (!options.settings.includes(key)) {
        const nearest = closestMatch(key, [...options.settings]);
        throw refuse([...path, key], `there is no setting \`${key}\`${hint(nearest)}`, true);
      }
      const values = typeof value === 'object' ? value : [value];
      const isSwitch = options.switches.includes(key);
      const wrong = values.find((each) => (typeof each === 'boolean') !== isSwitch);
      if (wrong !== undefined)
        throw refuse([...path, key], `expected ${isSwitch ? 'true or false' : 'a number or a word'}, got \`${wrong}\``);
    }
  };
  check(suite.train, ['train']);
  check(suite.vary, ['vary']);
  const isKnown = (given: string, known: Readonly<Record<string, unknown>>, path: Path, what: string) => {
    if (Object.hasOwn(known, given)) return;
    throw refuse(path, `there is no ${what} \`${given}\`${hint(closestMatch(given, Object.keys(known)))}`);
  };
  for (const [what, given] of Object.entries({ models: options.models, data: options.data })) {
    for (const each of Object.keys(given ?? {})) {
      const known = what === 'data' ? suite.data : suite.models;
      if (!Object.hasOwn(known, each))
        throw new UserError(
          'bad-arguments',
          `${file} has no ${what === 'data' ? 'data set' : 'model'} \`${each}\`${hint(closestMatch(each, Object.keys(known)))} (--${what === 'data' ? 'data' : 'model'})`,
        );
    }
  }

  const from = (path: string) => resolve(dirname(file), path);
  const modelCalled = (called: string) => {
    const given = suite.models[called];
    const { path, title = called, train } = typeof given === 'object' ? given : { path: given ?? '' };
    check(train, ['models', called, 'train']);
    const override = options.models?.[called];
    const place = override === undefined ? from(modelPath(path)) : resolve(override);
    return { model: { name: called, title, path: place }, train, shown: override ?? path };
  };
  const dataCalled = (called: string) => {
    const given = suite.data[called];
    const read = typeof given === 'object' ? given : { path: given, target: 'baseline' as const };
    check(read.train, ['data', called, 'train']);
    const override = options.data?.[called];
    const place = override === undefined ? (read.path === undefined ? undefined : from(read.path)) : resolve(override);
    const drawn = place === undefined ? read.drawn : undefined;
    return {
      data: { name: called, title: read.title ?? called, path: place, drawn, target: read.target },
      train: read.train,
      shown: override ?? read.path ?? '',
    };
  };

  const listed =
    suite.rows ??
    Object.keys(suite.models).flatMap((model) => Object.keys(suite.data).map((data) => ({ model, data })));
  const rows = listed.flatMap((row: z.infer<typeof rowSchema>, index): SuiteRow[] => {
    isKnown(row.model, suite.models, ['rows', index, 'model'], 'model');
    isKnown(row.data, suite.data, ['rows', index, 'data'], 'data set');
    check(row.train, ['rows', index, 'train']);
    const { model, train: ofModel, shown: modelShown } = modelCalled(row.model);
    const { data, train: ofData, shown: dataShown } = dataCalled(row.data);
    const chosen = row.policies ?? suite.policies;
    if (data.target === 'baseline' && !chosen.includes(suite.baseline))
      throw refuse(
        row.policies ? ['rows', index, 'policies'] : ['policies'],
        `the baseline policy ${suite.baseline} is not among them, and is the target of \`${data.name}\`; add it, or state a target`,
      );
    const lacks = [
      ...(existsSync(model.path)
        ? []
        : [`model ${model.name}: there is no ${modelShown} (--model ${model.name}=PATH)`]),
      ...(data.path === undefined || existsSync(data.path)
        ? []
        : [`data set ${data.name}: there is no ${dataShown} (--data ${data.name}=PATH)`]),
    ];
    const missing = lacks.length > 0 ? lacks.join('; ') : undefined;
    const called = row.name ?? `${model.name}-${data.name}`;
    const title = row.title ?? `${model.title}, ${data.title}`;
    // What stands further in wins.
    const sections: readonly (readonly [Path, Readonly<Record<string, unknown>> | undefined])[] = [
      [['vary'], suite.vary],
      [['rows', index, 'train'], row.train],
      [['data', row.data, 'train'], ofData],
      [['models', row.model, 'train'], ofModel],
      [['train'], suite.train],
    ];
    return combinations(suite.vary).map((varied) => {
      const trainings = { ...suite.train, ...ofModel, ...ofData, ...row.train, ...varied };
      try {
        options.check?.(trainings);
      } catch (thrown) {
        if (!(thrown instanceof UserError)) throw thrown;
        const [mention = '', setting = ''] = / \(‹(\w+)›\)/.exec(thrown.text) ?? [];
        const key = flagNamed(setting);
        const [section] = sections.find(([, values]) => values && Object.hasOwn(values, key)) ?? [undefined];
        throw refuse(section ? [...section, key] : ['train'], thrown.text.replace(mention, ''));
      }
      const told = Object.entries(varied).map(([key, value]) => `${key} ${value}`);
      return {
        name: [called, ...told.map((each) => each.replace(' ', '-'))].join('-'),
        title: [title, ...told].join(', '),
        model,
        data,
        policies: [...new Set(chosen)],
        seeds: [...new Set(row.seeds ?? suite.seeds)],
        train: trainings,
        varied,
        paper: row.paper,
        missing,
      };
    });
  });
  const twice = rows.find((row, index) => rows.findIndex((other) => other.name === row.name) !== index);
  if (twice) throw refuse(['rows'], `two rows are called \`${twice.name}\`; give them names`);
  const called = suite.name ?? basename(file).replace(/\.ya?ml$/i, '');
  return {
    name: called,
    title: suite.title ?? called,
    description: suite.description ?? '',
    file,
    rows,
    baseline: suite.baseline,
    repeat: suite.repeat,
    caches: suite.cache === 'both' ? ['cold', 'warm'] : [suite.cache],
    warmUp: suite['warm-up'],
    order: suite.order,
    energy: suite.energy,
    report: suite.report,
  };
}

/** Where photos of a data set are, drawn ones in `out`. */
export function photosOf(data: SuiteData, out: string): string {
  return data.path ?? join(out, 'pictures', data.name);
}

type Path = readonly (string | number)[];

const hint = (nearest: string | undefined) => (nearest === undefined ? '' : `; did you mean \`${nearest}\`?`);

/** Every choice of one value of each. */
function combinations(axes: Readonly<Record<string, readonly Setting[]>>): TrainSettings[] {
  return Object.entries(axes).reduce<TrainSettings[]>(
    (all, [key, values]) => all.flatMap((each) => values.map((value) => ({ ...each, [key]: value }))),
    [{}],
  );
}

/** The first of all complaints that names what is wrong. */
function refusalOf(
  issues: readonly z.core.$ZodIssue[],
  refuse: (path: Path, reason: string, atKey?: boolean) => UserError,
): UserError {
  const first = issues.find(({ code }) => code === 'unrecognized_keys') ?? issues[0];
  if (!first) throw new Error('a refusal has a reason');
  return describe(first, [], refuse);
}

function describe(
  issue: z.core.$ZodIssue,
  above: Path,
  refuse: (path: Path, reason: string, atKey?: boolean) => UserError,
): UserError {
  const path = [...above, ...issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part))];
  if (issue.code === 'unrecognized_keys') {
    const [key = ''] = issue.keys;
    const [, known = []] = KEYS.find(([where]) => where.test(path.join('/'))) ?? [];
    return refuse([...path, key], `there is no \`${key}\` here${hint(closestMatch(key, [...known]))}`, true);
  }
  if (issue.code === 'invalid_union') {
    // The alternative that came furthest is the one that was meant.
    const deepest = issue.errors.flat().toSorted((a, b) => depthOf(b) - depthOf(a))[0];
    if (deepest && depthOf(deepest) > 0) return describe(deepest, path, refuse);
    const [, known] = KEYS.find(([where]) => where.test(path.join('/'))) ?? [];
    return refuse(path, known ? `expected a path or ${known.join(', ')}` : 'expected a number or a word');
  }
  if (issue.code === 'invalid_type' && issue.input === undefined)
    return refuse(path, `\`${String(path.at(-1) ?? '')}\` is missing`);
  if (issue.code === 'invalid_type') return refuse(path, `expected ${WORDS[issue.expected] ?? issue.expected}`);
  if (issue.code === 'invalid_value') return refuse(path, `expected one of ${issue.values.map(String).join(', ')}`);
  return refuse(
    path,
    issue.message.replace(/^(Too|Invalid)/, (word) => word.toLowerCase()),
  );
}

const depthOf = (issue: z.core.$ZodIssue): number =>
  issue.path.length + (issue.code === 'unrecognized_keys' ? 2 : issue.code === 'custom' ? 1 : 0);

const WORDS: Readonly<Record<string, string>> = {
  string: 'a word',
  number: 'a number',
  int: 'a whole number',
  array: 'a list, such as [a, b]',
  object: 'settings such as `name: value`, one a line',
  record: 'settings such as `name: value`, one a line',
  boolean: 'true or false',
};

/** Where the value at `path` begins, or its key; of what is not there, what is nearest above it. */
function offsetOf(document: Document, path: Path, atKey: boolean): number {
  const parent: unknown = path.length > 0 ? document.getIn(path.slice(0, -1), true) : undefined;
  const last = path.at(-1);
  if (isMap(parent)) {
    const pair = parent.items.find(({ key }) => isScalar(key) && String(key.value) === String(last));
    const node = atKey || !isNode(pair?.value) ? pair?.key : pair.value;
    if (isNode(node) && node.range) return node.range[0];
  }
  const found: unknown = document.getIn([...path], true);
  if (isNode(found) && found.range) return found.range[0];
  if (path.length > 0) return offsetOf(document, path.slice(0, -1), false);
  return document.contents?.range?.[0] ?? 0;
}
