import { UserError } from '../errors.js';
import { jsonText, visible } from '../text.js';
import { inFlags } from './wording.js';

/** When a progress line first appears where it cannot be rewritten, and how often it comes then. */
const FIRST_PLAIN_MS = 2000;
const PLAIN_EVERY_MS = 10_000;
const REWRITE_EVERY_MS = 100;

interface TerminalOptions {
  readonly quiet?: boolean | undefined;
  readonly json?: boolean | undefined;
  readonly events?: boolean | undefined;
}

/**
 * What a verb writes: results to standard output, progress to standard error, nothing but JSON with `--json` and `--events`. What a line
 * says may come from outside, so it is made visible here, before our own colours.
 */
export class Terminal {
  private lastProgress = -Infinity;
  /** When each kind of progress was first told of, and how far it was then. */
  private readonly began = new Map<string, { readonly at: number; readonly done: number }>();

  /** @throws UserError `bad-arguments` where the result is to be one document and lines at once. */
  constructor(private readonly options: TerminalOptions = {}) {
    if (options.json && options.events) throw new UserError('bad-arguments', 'expected --json or --events, not both');
  }

  /** Whether a program reads standard output. */
  private get isRead(): boolean {
    return this.options.json === true || this.options.events === true;
  }

  /** A line on the way to the result; not with `--quiet`. */
  print(line = ''): void {
    if (!this.options.quiet) this.write(inFlags(line));
  }

  /** A line of the result. It says nothing of settings, and names of classes and files stand in it as they are. */
  result(line = '', weight: 'plain' | 'bold' = 'plain'): void {
    this.write(line, weight);
  }

  /** A line that matters even to a program that reads the result. */
  warn(line: string): void {
    closeLine();
    process.stderr.write(`${coloured(visible(inFlags(line)), 'yellow', process.stderr)}\n`);
  }

  /** A line on the way, on standard error: standard output is read by a program perhaps. Not with `--quiet`. */
  note(line: string): void {
    if (!this.options.quiet) this.beside(inFlags(line));
  }

  /** A line of a result that stands beside what a command prints. */
  beside(line: string): void {
    if (this.isRead) return;
    closeLine();
    process.stderr.write(`${visible(line)}\n`);
  }

  /** The whole result as one JSON document, with `--json`. */
  json(value: unknown): void {
    if (this.options.json) process.stdout.write(`${jsonText(value, 2)}\n`);
  }

  /** What happens as a line of JSON, with `--events`. */
  event(event: object): void {
    if (this.options.events) process.stdout.write(`${jsonText(event)}\n`);
  }

  /** A line about what goes on, rewritten by the next one; on terminals alone. */
  status(line: string): void {
    if (this.options.quiet || this.isRead || !rewritesLines(process.stderr)) return;
    rewriteLine(visible(line));
  }

  /** Rewrites one line on a terminal; elsewhere says after two seconds, and then every ten, where things stand. */
  progress(what: string, done: number, total: number, unit = 'images'): void {
    if (this.options.quiet || this.isRead) return;
    const now = performance.now();
    const began = this.began.get(what) ?? { at: now, done };
    this.began.set(what, began);
    const isLast = done >= total;
    const rewrites = rewritesLines(process.stderr);
    const due = rewrites
      ? this.lastProgress + REWRITE_EVERY_MS
      : Math.max(this.lastProgress + PLAIN_EVERY_MS, began.at + FIRST_PLAIN_MS);
    if (isLast) this.began.delete(what);
    if (isLast ? !rewrites : now < due) return;
    this.lastProgress = now;
    const perMs = (done - began.done) / (now - began.at);
    const speed =
      perMs > 0 && Number.isFinite(perMs)
        ? `, ${(1000 * perMs).toFixed(perMs < 0.01 ? 1 : 0)} a second, ${showDuration((total - done) / perMs)} left`
        : '';
    const line = visible(`${what}: ${showCount(done)} of ${showCount(total)} ${unit}${speed}`);
    if (rewrites) {
      rewriteLine(line);
    } else {
      process.stderr.write(`${line}\n`);
    }
  }

  private write(line: string, weight: 'plain' | 'bold' = 'plain'): void {
    if (this.isRead) return;
    closeLine();
    const shown = visible(line);
    process.stdout.write(`${weight === 'bold' ? coloured(shown, 'bold', process.stdout) : shown}\n`);
  }
}

/** Whether a progress line waits to be rewritten. */
let lineIsOpen = false;

function rewriteLine(line: string): void {
  // A line that wraps could not be rewritten.
  process.stderr.write(`\r\x1b[K${line.slice(0, Math.max(1, process.stderr.columns - 1))}`);
  lineIsOpen = true;
}

/** Takes a progress line away, before anything else is written. */
export function closeLine(): void {
  if (lineIsOpen) process.stderr.write('\r\x1b[K');
  lineIsOpen = false;
}

/** Whether the stream shows on a terminal that knows control sequences. */
function rewritesLines(stream: NodeJS.WriteStream): boolean {
  return stream.isTTY && process.env['TERM'] !== 'dumb';
}

/** Control sequences that begin and end a style (ECMA-48, SGR); `styleText` of Node.js decides by itself where to. */
const STYLES = { bold: [1, 22], red: [31, 39], yellow: [33, 39] } as const;

/** `text` in a colour where the stream is a terminal; FORCE_COLOR asks for it elsewhere too, NO_COLOR for none (https://no-color.org). */
export function coloured(text: string, style: keyof typeof STYLES, stream: NodeJS.WriteStream): string {
  const { FORCE_COLOR: force, NO_COLOR: none } = process.env;
  const isForced = force !== undefined && force !== '0' && force !== 'false';
  const isWanted = force === undefined ? !none && rewritesLines(stream) : isForced;
  const [begin, end] = STYLES[style];
  return isWanted && text !== '' ? `\x1b[${begin}m${text}\x1b[${end}m` : text;
}

/** Longer messages than this quote junk. */
const LONGEST_LINE = 1000;

/** A message as one line that a terminal shows as it is, cut where it is long: names from a model file may hold anything. */
export function oneLine(message: string): string {
  const line = visible(message.trim());
  return line.length > LONGEST_LINE ? `${line.slice(0, LONGEST_LINE)}…` : line;
}

export function showDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

export function showBytes(bytes: number): string {
  if (bytes < 100) return `${bytes} ${bytes === 1 ? 'byte' : 'bytes'}`;
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(1)} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}

export function showPercent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

/** Which part of a whole that is, in percent: 100 or 0 only where it is that exactly. */
export function showShare(part: number, whole: number): string {
  return showPercent(Math.min(Math.max(part / whole, part > 0 ? 0.001 : 0), part < whole ? 0.999 : 1));
}

export function showCount(count: number): string {
  return count.toLocaleString('en-US');
}

/** Rows as aligned columns, as they are shown: text to the left, numbers to the right. */
export function table(cells: readonly (readonly (string | number)[])[]): string[] {
  const rows = cells.map((row) => row.map((cell) => visible(String(cell))));
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows.map((row, index) =>
    row
      .map((cell, column) => {
        const isNumber = rows.slice(1).every((other) => /^[\d.,]+( [%a-zA-Z]+)?$/.test(other[column] ?? ''));
        const width = widths[column] ?? 0;
        return isNumber && (index > 0 || rows.length > 1) ? cell.padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd(),
  );
}
