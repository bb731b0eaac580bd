/** What a verb writes: results to standard output, progress to standard error, nothing but JSON with `--json`. */
export class Terminal {
  private lineIsOpen = false;
  private lastProgress = 0;
  private readonly began = new Map<string, number>();

  constructor(
    private readonly options: { readonly quiet?: boolean | undefined; readonly json?: boolean | undefined } = {},
  ) {}

  /** A line of the result. */
  print(line = ''): void {
    if (this.options.quiet || this.options.json) return;
    this.closeLine();
    process.stdout.write(`${line}\n`);
  }

  /** A line that matters even to a program that reads the result. */
  warn(line: string): void {
    this.closeLine();
    process.stderr.write(`${line}\n`);
  }

  /** The whole result as one JSON document, with `--json`. */
  json(value: unknown): void {
    if (this.options.json) process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
  }

  /** Rewrites one line on a terminal; elsewhere says where things stand every ten seconds. */
  progress(what: string, done: number, total: number): void {
    if (this.options.quiet || this.options.json) return;
    const now = performance.now();
    const began = this.began.get(what) ?? now;
    this.began.set(what, began);
    const isLast = done >= total;
    const interval = process.stderr.isTTY ? 100 : 10_000;
    if (!isLast && now - Math.max(this.lastProgress, process.stderr.isTTY ? 0 : began) < interval) return;
    if (isLast) this.began.delete(what);
    if (isLast && !process.stderr.isTTY) return;
    this.lastProgress = now;
    const perSecond = (1000 * done) / Math.max(1, now - began);
    const left = perSecond > 0 ? `, ${showDuration((1000 * (total - done)) / perSecond)} left` : '';
    const line = `${what} ${done}/${total}${now > began ? ` (${perSecond.toFixed(0)} a second${left})` : ''}`;
    if (process.stderr.isTTY) {
      process.stderr.write(`\r\x1b[K${line}`);
      this.lineIsOpen = true;
    } else {
      process.stderr.write(`${line}\n`);
    }
  }

  private closeLine(): void {
    if (this.lineIsOpen) process.stderr.write('\r\x1b[K');
    this.lineIsOpen = false;
  }
}

/** Longer messages than this quote junk. */
const LONGEST_LINE = 1000;

/** A message as one line that a terminal shows as it is: names from a model file may hold anything. */
export function oneLine(message: string): string {
  const line = message.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ').trim();
  return line.length > LONGEST_LINE ? `${line.slice(0, LONGEST_LINE)}…` : line;
}

export function showDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

export function showBytes(bytes: number): string {
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(1)} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}

export function showPercent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

export function showCount(count: number): string {
  return count.toLocaleString('en-US');
}

/** Rows as aligned columns: text to the left, numbers to the right. */
export function table(rows: readonly (readonly (string | number)[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => String(row[column] ?? '').length)));
  return rows.map((row, index) =>
    row
      .map((cell, column) => {
        const isNumber = rows.slice(1).every((other) => /^[\d.,]+( [%a-zA-Z]+)?$/.test(String(other[column] ?? '')));
        const width = widths[column] ?? 0;
        return isNumber && (index > 0 || rows.length > 1) ? String(cell).padStart(width) : String(cell).padEnd(width);
      })
      .join('  ')
      .trimEnd(),
  );
}
