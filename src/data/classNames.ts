import { LONGEST_LABEL } from '../artifacts/manifest.js';
import { UserError } from '../errors.js';

/** A name without what people hardly see: case, width, the form of accents, separators, and spaces at its ends. */
export function skeletonOf(name: string): string {
  return name
    .normalize('NFKC')
    .toLowerCase()
    .replaceAll(/\p{Cf}/gu, '')
    .replaceAll(/[\s_\-\p{Pd}]+/gu, ' ')
    .trim();
}

/** Two names as a message shows them: where they look alike, unusual characters are shown as `\u00a0`. */
export function toldApart(...names: readonly [string, string]): readonly [string, string] {
  const looks = names.map((name) =>
    name
      .normalize('NFKC')
      .replaceAll(/\p{Cf}/gu, '')
      .replaceAll(/\s/gu, ' ')
      .trim(),
  );
  if (looks[0] !== looks[1]) return names;
  const show = (name: string) =>
    name.replaceAll(
      /[^\P{Zs} ]|\p{Cf}|^ | $/gu,
      (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
  return [show(names[0]), show(names[1])];
}

/** Whether a name has a line break or another control character. */
export const isUnprintable = (name: string): boolean => /[\p{Cc}\p{Zl}\p{Zp}]/u.test(name);

export function unprintableClass(name: string, source: string): UserError {
  return new UserError(
    'bad-class-name',
    `the name of class ${JSON.stringify(name)} in ${source} has a line break or another control character; rename it`,
  );
}

/** @throws UserError `bad-class-name`. */
export function checkNames(classes: readonly string[], source: string): void {
  // A class is a line of labels.txt.
  const unprintable = classes.find(isUnprintable);
  if (unprintable !== undefined) throw unprintableClass(unprintable, source);
  const endless = classes.find(({ length }) => length > LONGEST_LABEL);
  if (endless !== undefined)
    throw new UserError(
      'bad-class-name',
      `the name of class "${endless.slice(0, 40)}…" in ${source} has ${endless.length} characters; shorten it to ${LONGEST_LABEL}`,
    );
}

/** A line where names of classes differ in case alone. */
export function alike(classes: readonly string[], source: string): string[] {
  const seen = new Map<string, string>();
  for (const name of classes) {
    const other = seen.get(name.toLowerCase());
    if (other !== undefined)
      return [
        `${source} has the classes "${other}" and "${name}", whose names differ in case alone; rename one if they are the same`,
      ];
    seen.set(name.toLowerCase(), name);
  }
  return [];
}
