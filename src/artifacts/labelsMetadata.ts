import { z } from 'zod';
import { UserError } from '../errors.js';
import { LONGEST_LABEL } from './manifest.js';

/** The 21,841 names of ImageNet take 1 MB. */
const MOST_CHARACTERS = 1e7;
const labelsSchema = z.array(z.string().max(LONGEST_LABEL)).min(1);

/**
 * The classes that a model's metadata names, from that entry's JSON; messages call the model `name`.
 * @throws UserError `bad-labels` for what is no list of names, for a name that is too long, and for one that two classes have.
 */
export function readLabels(metadata: string, name: string): string[] {
  const refuse = (reason: string) =>
    new UserError('bad-labels', `the labels of ${name} are wrong: ${reason}; export the model again`);
  if (metadata.length > MOST_CHARACTERS) throw refuse(`they take ${metadata.length} characters`);
  let json: unknown;
  try {
    json = JSON.parse(metadata);
  } catch {
    throw refuse('they are no JSON');
  }
  const parsed = labelsSchema.safeParse(json);
  if (!parsed.success) {
    const at = parsed.error.issues[0]?.path[0];
    throw refuse(
      at === undefined
        ? 'expected a list of names'
        : `expected names of up to ${LONGEST_LABEL} characters, and number ${Number(at) + 1} is none`,
    );
  }
  const seen = new Set<string>();
  for (const label of parsed.data) {
    if (seen.has(label)) throw refuse(`two classes are called "${label}"`);
    seen.add(label);
  }
  return parsed.data;
}
