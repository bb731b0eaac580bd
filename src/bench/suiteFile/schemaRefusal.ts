import { closestMatch } from 'leven';
import type { z } from 'zod';
import type { UserError } from '../../errors.js';
import { keysAt } from './suiteSchema.js';
import type { Path, SuiteYaml } from './suiteYaml.js';

/** The refusal of a suite for the first of all complaints of its schema that names what is wrong. */
export function schemaRefusal(yaml: SuiteYaml, issues: readonly z.core.$ZodIssue[]): UserError {
  const first = issues.find(({ code }) => code === 'unrecognized_keys') ?? issues[0];
  if (!first) throw new Error('a refusal has a reason');
  return refusalOf(yaml, first, []);
}

function refusalOf(yaml: SuiteYaml, issue: z.core.$ZodIssue, above: Path): UserError {
  const path = [...above, ...issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part))];
  if (issue.code === 'unrecognized_keys') {
    const [key = ''] = issue.keys;
    const nearest = closestMatch(key, [...(keysAt(path) ?? [])]);
    return yaml.refusal([...path, key], `there is no \`${key}\` here${didYouMean(nearest)}`, true);
  }
  if (issue.code === 'invalid_union') {
    // The alternative that came furthest is the one that was meant.
    const deepest = issue.errors.flat().toSorted((a, b) => depthOf(b) - depthOf(a))[0];
    if (deepest && depthOf(deepest) > 0) return refusalOf(yaml, deepest, path);
    const known = keysAt(path);
    return yaml.refusal(path, known ? `expected a path or ${known.join(', ')}` : 'expected a number or a word');
  }
  return yaml.refusal(path, reasonOf(issue, path));
}

function reasonOf(issue: z.core.$ZodIssue, path: Path): string {
  if (issue.code === 'invalid_type' && issue.input === undefined) return `\`${String(path.at(-1) ?? '')}\` is missing`;
  if (issue.code === 'invalid_type') return `expected ${WORDS[issue.expected] ?? issue.expected}`;
  if (issue.code === 'invalid_value') return `expected one of ${issue.values.map(String).join(', ')}`;
  return issue.message.replace(/^(Too|Invalid)/, (word) => word.toLowerCase());
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

/** The end of a message about a word that nobody knows. */
export const didYouMean = (nearest: string | undefined): string =>
  nearest === undefined ? '' : `; did you mean \`${nearest}\`?`;
