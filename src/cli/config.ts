import { closestMatch } from 'leven';
import { isMap, isScalar, LineCounter, parseDocument } from 'yaml';
import { UserError } from '../errors.js';
import { fileReason, MOST_BYTES, readRegularFileSync } from '../files.js';
import type { SettingsFileFlags } from './settingFlags.js';

/**
 * The settings of a YAML file, by the names of the flags that it stands in for.
 * @throws UserError `bad-config`, with the line, for a file that cannot be read, is no mapping, sets what is no flag, a switch to anything
 * but true or false, or another flag to that.
 */
export function readConfig(path: string, { known, switches, optional }: SettingsFileFlags): Record<string, unknown> {
  let source: string;
  try {
    source = readRegularFileSync(path, MOST_BYTES.settings).toString('utf8');
  } catch (thrown) {
    throw new UserError('bad-config', `cannot read ${path}: ${fileReason(thrown)} (‹config›)`);
  }
  const lines = new LineCounter();
  const document = parseDocument(source, { lineCounter: lines, prettyErrors: false, uniqueKeys: false });
  const refuse = (offset: number, reason: string) =>
    new UserError('bad-config', `${path}, line ${lines.linePos(offset).line}: ${reason} (‹config›)`);
  const [error] = document.errors;
  if (error) throw refuse(error.pos[0], `not YAML: ${error.message}`);
  const { contents } = document;
  if (contents === null) return {};
  if (!isMap(contents)) throw refuse(contents.range[0], 'expected settings such as `epochs: 20`, one a line');
  const seen = new Set<string>();
  for (const { key, value } of contents.items) {
    const name = isScalar(key) ? String(key.value) : '';
    const offset = isScalar(key) ? key.range[0] : 0;
    if (!known.includes(name)) {
      const nearest = closestMatch(name, [...known]);
      throw refuse(
        offset,
        `there is no setting \`${name}\`${nearest === undefined ? '' : `; did you mean \`${nearest}\`?`}`,
      );
    }
    // The library compares each key with every other, which takes minutes for many.
    if (seen.has(name)) throw refuse(offset, `\`${name}\` is set twice`);
    seen.add(name);
    if (value !== null && !isScalar(value)) throw refuse(offset, `expected one value for \`${name}\``);
    const isSwitch = switches.includes(name);
    if (value?.value === false && optional.includes(name)) continue;
    if (value?.value != null && (typeof value.value === 'boolean') !== isSwitch)
      throw refuse(
        offset,
        `expected ${isSwitch ? 'true or false' : 'a number or a word'} for \`${name}\`, got \`${value.source}\``,
      );
  }
  return document.toJS() as Record<string, unknown>;
}
