import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { closestMatch } from 'leven';
import { suiteModelPath } from '../suiteModelPath.js';
import type { SuiteData, SuiteModel, SuiteRow, TrainSettings } from '../suite.js';
import { didYouMean } from './schemaRefusal.js';
import type { Setting, SettingsCheck, SettingsSection } from './settingsCheck.js';
import type { RowContent, SuiteContent } from './suiteSchema.js';
import type { Path, SuiteYaml } from './suiteYaml.js';

/** Paths in place of those that a suite names. */
export interface OtherPlaces {
  readonly models?: Readonly<Record<string, string>>;
  readonly data?: Readonly<Record<string, string>>;
}

/** A model or a data set of the suite, with the settings of its own and the path that messages show. */
interface Called<T> {
  readonly it: T;
  readonly settings: SettingsSection<Setting>;
  readonly shown: string;
}

/** Makes the rows of a suite of what its file says. */
export class SuiteRows {
  constructor(
    private readonly yaml: SuiteYaml,
    private readonly content: SuiteContent,
    private readonly places: OtherPlaces,
    private readonly check: SettingsCheck,
  ) {}

  /** @throws UserError `bad-suite` for a row that names what there is not, or that a training would refuse. */
  read(): SuiteRow[] {
    const { rows: listed, models, data } = this.content;
    const all =
      listed ?? Object.keys(models).flatMap((model) => Object.keys(data).map((each) => ({ model, data: each })));
    const rows = all.flatMap((row: RowContent, index) => this.rowsOf(row, index));
    const twice = rows.find((row, index) => rows.findIndex((other) => other.name === row.name) !== index);
    if (twice) throw this.yaml.refusal(['rows'], `two rows are called \`${twice.name}\`; give them names`);
    return rows;
  }

  /** The rows that one of the file's becomes: one for each choice of what the suite varies. */
  private rowsOf(row: RowContent, index: number): SuiteRow[] {
    const { content } = this;
    const path: Path = ['rows', index];
    this.refuseUnknown(row.model, content.models, [...path, 'model'], 'model');
    this.refuseUnknown(row.data, content.data, [...path, 'data'], 'data set');
    const own = { path: [...path, 'train'], values: row.train };
    this.check.section(own);
    const model = this.modelCalled(row.model);
    const data = this.dataCalled(row.data);
    const policies = row.policies ?? content.policies;
    if (data.it.target === 'baseline' && !policies.includes(content.baseline))
      throw this.yaml.refusal(
        row.policies ? [...path, 'policies'] : ['policies'],
        `the baseline policy ${content.baseline} is not among them, and is the target of \`${data.it.name}\`; add it, or state a target`,
      );
    const common = {
      model: model.it,
      data: data.it,
      policies: [...new Set(policies)],
      seeds: [...new Set(row.seeds ?? content.seeds)],
    };
    const name = row.name ?? `${model.it.name}-${data.it.name}`;
    const title = row.title ?? `${model.it.title}, ${data.it.title}`;
    const missing = missingOf(model, data);
    // What stands further in wins.
    const vary = { path: ['vary'], values: content.vary };
    const sections = [own, data.settings, model.settings, { path: ['train'], values: content.train }];
    return combinations(content.vary).map((varied) => {
      const train = { ...content.train, ...model.settings.values, ...data.settings.values, ...row.train, ...varied };
      this.check.together(train, [vary, ...sections]);
      const told = Object.entries(varied).map(([key, value]) => `${key} ${value}`);
      return {
        name: [name, ...told.map((each) => each.replace(' ', '-'))].join('-'),
        title: [title, ...told].join(', '),
        ...common,
        ...{ train, varied, paper: row.paper, missing },
      };
    });
  }

  private modelCalled(name: string): Called<SuiteModel> {
    const given = this.content.models[name];
    const { path, title = name, train } = typeof given === 'object' ? given : { path: given ?? '' };
    const settings = { path: ['models', name, 'train'], values: train };
    this.check.section(settings);
    const other = this.places.models?.[name];
    const place = other === undefined ? suiteModelPath(path, dirname(this.yaml.file)) : suiteModelPath(other, '.');
    return { it: { name, title, ...place }, settings, shown: other ?? path };
  }

  private dataCalled(name: string): Called<SuiteData> {
    const given = this.content.data[name];
    const read = typeof given === 'object' ? given : { path: given, target: 'baseline' as const };
    const settings = { path: ['data', name, 'train'], values: read.train };
    this.check.section(settings);
    const other = this.places.data?.[name];
    const own = read.path === undefined ? undefined : this.resolved(read.path);
    const path = other === undefined ? own : resolve(other);
    const drawn = path === undefined ? read.drawn : undefined;
    const it = { name, title: read.title ?? name, path, drawn, target: read.target };
    return { it, settings, shown: other ?? read.path ?? '' };
  }

  /** Paths are relative to the suite's file. */
  private resolved(path: string): string {
    return resolve(dirname(this.yaml.file), path);
  }

  private refuseUnknown(given: string, known: object, path: Path, what: string): void {
    if (Object.hasOwn(known, given)) return;
    const nearest = closestMatch(given, Object.keys(known));
    throw this.yaml.refusal(path, `there is no ${what} \`${given}\`${didYouMean(nearest)}`);
  }
}

/** What a row lacks to be run, and how it is given. */
function missingOf({ it: model, shown: modelShown }: Called<SuiteModel>, data: Called<SuiteData>): string | undefined {
  const { name, path } = data.it;
  const lacks = [
    ...(model.toPull === undefined ? [] : [`model ${model.name}: it is not here; ort-tl models pull ${model.toPull}`]),
    ...(model.toPull !== undefined || existsSync(model.path) ? [] : [`model ${model.name}: there is no ${modelShown}`]),
    ...(path === undefined || existsSync(path) ? [] : [`data set ${name}: there is no ${data.shown}`]),
  ];
  return lacks.length > 0 ? lacks.join('; ') : undefined;
}

/** Every choice of one value of each. */
function combinations(axes: Readonly<Record<string, readonly Setting[]>>): TrainSettings[] {
  return Object.entries(axes).reduce<TrainSettings[]>(
    (all, [key, values]) => all.flatMap((each) => values.map((value) => ({ ...each, [key]: value }))),
    [{}],
  );
}
