import { type Document, isMap, isNode, isScalar, LineCounter, parseDocument } from 'yaml';
import { messageOf, UserError } from '../../errors.js';
import { fileReason, MOST_BYTES, readRegularFileSync } from '../../files.js';
import { keySetTwice } from '../keySetTwice.js';

/** The keys on the way to a place in a suite. */
export type Path = readonly (string | number)[];

/** The YAML of a suite, which knows in which line everything stands. */
export class SuiteYaml {
  private constructor(
    readonly file: string,
    private readonly document: Document,
    private readonly lines: LineCounter,
  ) {}

  /** @throws UserError `bad-suite` for a file that cannot be read, that is not YAML, or that sets a key twice. */
  static read(file: string): SuiteYaml {
    let source: string;
    try {
      source = readRegularFileSync(file, MOST_BYTES.settings).toString('utf8');
    } catch (thrown) {
      throw new UserError('bad-suite', `cannot read ${file}: ${fileReason(thrown)}`);
    }
    const lines = new LineCounter();
    const document = parseDocument(source, { lineCounter: lines, prettyErrors: false, uniqueKeys: false });
    const yaml = new SuiteYaml(file, document, lines);
    const [error] = document.errors;
    if (error) throw yaml.refusalAt(error.pos[0], `not YAML: ${error.message}`);
    return yaml;
  }

  /** What it says. @throws UserError `bad-suite` where a key is set twice, or aliases lead too far. */
  content(): unknown {
    try {
      const twice = keySetTwice(this.document);
      if (twice) throw this.refusalAt(twice.range?.[0] ?? 0, `\`${String(twice.value)}\` is set twice`);
      return this.document.toJS();
    } catch (thrown) {
      if (thrown instanceof UserError) throw thrown;
      // It is nested too deeply, or aliases of aliases would become gigabytes.
      throw new UserError('bad-suite', `${this.file}: ${messageOf(thrown)}`);
    }
  }

  /** A refusal of what stands at `path`, with its line; `atKey`: the key is at fault, not its value. */
  refusal(path: Path, reason: string, atKey = false): UserError {
    const where = path.length === 0 ? '' : ` (${path.join('.')})`;
    return this.refusalAt(offsetOf(this.document, path, atKey), `${reason}${where}`);
  }

  private refusalAt(offset: number, reason: string): UserError {
    return new UserError('bad-suite', `${this.file}, line ${this.lines.linePos(offset).line}: ${reason}`);
  }
}

/** Where the value at `path` begins, or its key; where there is none, what is nearest above it. */
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
