import { basename } from 'node:path';
import { closestMatch } from 'leven';
import { UserError } from '../../errors.js';
import type { Suite } from '../suite.js';
import { didYouMean, schemaRefusal } from './schemaRefusal.js';
import { SettingsCheck } from './settingsCheck.js';
import { type OtherPlaces, SuiteRows } from './suiteRows.js';
import { type SuiteContent, suiteSchema } from './suiteSchema.js';
import { SuiteYaml } from './suiteYaml.js';

/**
 * Reads a suite of trainings. Paths are relative to the suite's file; what is not there makes its rows missing, and is no error.
 * @throws UserError `bad-suite`, with the line, for a file that cannot be read or that does not say what a suite does; `bad-arguments` for
 * other places of models and data sets that it does not have.
 */
export function readSuite(file: string, places: OtherPlaces = {}): Suite {
  const yaml = SuiteYaml.read(file);
  const parsed = suiteSchema.safeParse(yaml.content(), { reportInput: true });
  if (!parsed.success) throw schemaRefusal(yaml, parsed.error.issues);
  const content = parsed.data;
  const check = new SettingsCheck(yaml);
  check.section({ path: ['train'], values: content.train });
  check.section({ path: ['vary'], values: content.vary });
  refuseOtherNames(file, places, content);
  const rows = new SuiteRows(yaml, content, places, check).read();
  const name = content.name ?? basename(file).replace(/\.ya?ml$/i, '');
  return {
    name,
    title: content.title ?? name,
    description: content.description ?? '',
    ...{ file, rows },
    baseline: content.baseline,
    repeat: content.repeat,
    caches: content.cache === 'both' ? ['cold', 'warm'] : [content.cache],
    warmUp: content['warm-up'],
    order: content.order,
    energy: content.energy,
    report: content.report,
  };
}

/** @throws UserError `bad-arguments` for a place of what the suite does not have. */
function refuseOtherNames(file: string, places: OtherPlaces, { models, data }: SuiteContent): void {
  const kinds = [
    { what: 'model', flag: 'model', given: places.models, known: models },
    { what: 'data set', flag: 'data', given: places.data, known: data },
  ];
  for (const { what, flag, given = {}, known } of kinds)
    for (const name of Object.keys(given)) {
      if (Object.hasOwn(known, name)) continue;
      const nearest = closestMatch(name, Object.keys(known));
      throw new UserError('bad-arguments', `${file} has no ${what} \`${name}\`${didYouMean(nearest)} (‹${flag}›)`);
    }
}
