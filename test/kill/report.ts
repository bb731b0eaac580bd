import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { type Fault, type KillReport, type Row, ways } from './killTest.js';

/** What a call of the kill test gave; `--json` prints it, and several can be summed. */
export interface Piece extends KillReport {
  readonly seed: number;
  readonly seconds: number;
  /** Flags beside the case, the way and the moment that repeat a try. */
  readonly flags: string;
}

const counts = [
  ...(['tried', 'finished', 'inTime', 'slowestMs', 'orphans', 'leftovers', 'damaged', 'otherBits', 'faults'] as const),
];
const HEADINGS: Readonly<Record<(typeof counts)[number], string>> = {
  tried: 'tried',
  finished: 'finished before',
  inTime: 'ended in time',
  slowestMs: 'slowest ms',
  orphans: 'orphans',
  leftovers: 'leftovers',
  damaged: 'damaged',
  otherBits: 'other bits',
  faults: 'faults',
};

const number = z.number();
const rowSchema = z.object({
  ...{ case: z.string(), way: z.enum(ways), tried: number, finished: number, inTime: number, slowestMs: number },
  ...{ orphans: number, leftovers: number, damaged: number, otherBits: number, faults: number },
});
const faultSchema = z.object({
  ...{ case: z.string(), way: z.enum(ways), index: number, moment: number, output: z.string() },
  ...{ what: z.array(z.string()), words: z.array(z.string()) },
});
const pieceSchema = z.object({
  ...{ seed: number, seconds: number, flags: z.string(), rows: z.array(rowSchema), faults: z.array(faultSchema) },
});

/** @throws Error where the file is none that `--json` made. */
export function readPiece(path: string): Piece {
  return pieceSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
}

/** Rows of several pieces, those of a case and a way as one. */
export function summed(pieces: readonly Piece[]): Row[] {
  const rows = new Map<string, Row>();
  for (const row of pieces.flatMap((piece) => piece.rows)) {
    const key = `${row.case} ${row.way}`;
    const before = rows.get(key);
    if (!before) rows.set(key, { ...row });
    else
      for (const count of counts)
        before[count] = count === 'slowestMs' ? Math.max(before[count], row[count]) : before[count] + row[count];
  }
  return [...rows.values()];
}

/** The table, the faults, and how much there was of both. */
export function linesOf(pieces: readonly Piece[]): string[] {
  const rows = summed(pieces);
  const faults = pieces.flatMap((piece) => piece.faults.map((fault) => told(fault, piece)));
  const tries = rows.reduce((sum, { tried }) => sum + tried, 0);
  const seeds = [...new Set(pieces.map(({ seed }) => seed))].join(', ');
  const seconds = pieces.reduce((sum, piece) => sum + piece.seconds, 0);
  return [
    ...table([['case', 'how', ...Object.values(HEADINGS)], ...rows.map(cellsOf)]),
    ...faults.flatMap((fault) => ['', fault]),
    '',
    `${tries} tries of seed ${seeds} in ${seconds} s, ${faults.length} with faults`,
  ];
}

export function cellsOf(row: Row): string[] {
  return [row.case, row.way, ...counts.map((count) => String(row[count]))];
}

function told({ case: name, way, index, moment, what, words, output }: Fault, { seed, flags }: Piece): string {
  const at = Math.round(moment);
  return [
    `FAULT in ${name}, ${way}, try ${index}, ${at} ms after its start:`,
    ...what.map((each) => `  - ${each}`),
    `  ort-tl ${words.join(' ')}`,
    ...output.split('\n').map((each) => `    | ${each}`),
    `  again: npm run test:kill -- --only ${name} --how ${way} --seed ${seed} --first ${index} --times 1 --at ${at}${flags}`,
  ].join('\n');
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows.map((row) =>
    row
      .map((cell, column) => (column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  '),
  );
}
