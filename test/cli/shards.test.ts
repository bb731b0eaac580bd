import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { until } from '../processes.js';
import { cli, cliHere, expectRefusal, main } from './cli.js';

const TWELVE = `title: Twelve
models: { cnn: small_cnn }
data: { pictures: { drawn: { train: 6, val: 4, size: 32 } } }
policies: [F1C0, F1C1]
seeds: [0, 1, 2, 3, 4, 5]
train: { epochs: 1, batch: 16 }
energy: { source: none }
warm-up: false
`;

const work = mkdtempSync(join(tmpdir(), 'ort-tl-'));
const place = (name: string) => join(work, name);
const file = place('twelve.yaml');
writeFileSync(file, TWELVE);

interface Line {
  readonly id: string;
  readonly machine: string;
  readonly at: string;
  readonly result?: object;
}
const linesOf = (out: string): Line[] =>
  readFileSync(join(out, 'results.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .flatMap((line) => (line.endsWith('}') ? [JSON.parse(line) as Line] : []));

/** The columns of a summary that depend on what was learned alone, by cell. */
function accuraciesIn(out: string): string[][] {
  const [headings = [], ...lines] = readFileSync(join(out, 'summary.csv'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => line.split(','));
  const columns = headings.flatMap((name, at) =>
    /^(row|policy|runs|reached_target|(top1Percent|bestEpoch|epochsToTarget)_\w+)$/.test(name) ? [at] : [],
  );
  const machine = headings.indexOf('machine');
  return lines
    .filter((cells) => machine < 0 || cells[machine] === 'all')
    .map((cells) => columns.map((at) => cells[at] ?? ''));
}

const bench = (...words: string[]) => cli(['bench', ...words]);
const part = (index: number) => place(`part${index}`);

describe('a suite of twelve runs in three parts', () => {
  beforeAll(async () => {
    expect(bench(file, '--out', place('whole')).status).toBe(0);
    // The second part is killed in its second run.
    const child = spawn(process.execPath, [main, 'bench', file, '--shard', '2/3', '--out', part(2)], {
      stdio: 'ignore',
    });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    await until(
      () => child.exitCode !== null || (existsSync(join(part(2), 'results.jsonl')) && linesOf(part(2)).length > 0),
    );
    child.kill('SIGKILL');
    await ended;
    for (const index of [1, 3]) expect(bench(file, '--shard', `${index}/3`, '--out', part(index)).status).toBe(0);
  });

  it('tells what a part that was killed has not made, and names a part that is missing', () => {
    const finished = linesOf(part(2));
    const merged = bench('merge', part(1), part(2), '--out', place('begun'));
    expect(merged.status).toBe(1);
    expect(merged.stderr).toContain('missing: shard 3/3\n');
    const missing = /missing: (\d+) runs: (.*)/.exec(merged.stderr);
    expect(Number(missing?.[1])).toBe(12 - 4 - finished.length);
    for (const { id } of linesOf(part(3))) expect(missing?.[2]).toContain(id);
    expect(merged.stdout).toContain(`${4 + finished.length} of 12 runs are finished`);
  });

  it('loses nothing of a part that was killed, and gives joined the accuracies of the whole, to the bit', () => {
    const before = linesOf(part(2));
    expect(before.length).toBeLessThan(4);
    expect(bench(file, '--shard', '2/3', '--out', part(2)).status).toBe(0);
    expect(linesOf(part(2)).slice(0, before.length)).toEqual(before);
    expect([1, 2, 3].map((index) => linesOf(part(index)).length)).toEqual([4, 4, 4]);
    const merged = bench('merge', part(1), part(2), part(3), '--out', place('all'));
    expect(merged.status, merged.stderr).toBe(0);
    expect(accuraciesIn(place('all'))).toEqual(accuraciesIn(place('whole')));
    expect(readFileSync(join(place('all'), 'report.html'), 'utf8')).toContain('12 of 12 finished');
  });

  it('is gone on with where it was joined, and makes what is missing alone', () => {
    // Two runs less than there are.
    const out = place('lacking');
    cpSync(place('all'), out, { recursive: true });
    const before = linesOf(place('all')).slice(0, -2);
    writeFileSync(join(out, 'results.jsonl'), before.map((line) => `${JSON.stringify(line)}\n`).join(''));
    const again = bench(file, '--out', out);
    expect(again.status, again.stderr).toBe(0);
    expect(again.stdout).toContain('10 of 12 runs are finished');
    expect(linesOf(out).slice(0, -2)).toEqual(before);
    expect(linesOf(out)).toHaveLength(12);
    expect(accuraciesIn(out)).toEqual(accuraciesIn(place('whole')));
  });

  it('tells times by kind of machine, and accuracies of all together', () => {
    const other = place('elsewhere');
    cpSync(part(3), other, { recursive: true });
    const lines = linesOf(part(3)).map((line) => ({ ...line, setting: 'another', machine: 'a <faster> one' }));
    writeFileSync(join(other, 'results.jsonl'), lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    expect(bench('merge', part(1), part(2), other, '--out', place('two')).status).toBe(0);
    for (const when of ['as it was joined', 'as it is reported again']) {
      expect(accuraciesIn(place('two')), when).toEqual(accuraciesIn(place('whole')));
      const [headings = '', ...rows] = readFileSync(join(place('two'), 'summary.csv'), 'utf8')
        .trimEnd()
        .split('\n');
      const column = (row: string, name: string) => row.split(',')[headings.split(',').indexOf(name)];
      const there = rows.filter((row) => row.includes('a <faster> one'));
      expect(there.reduce((sum, row) => sum + Number(column(row, 'wallSeconds_n')), 0)).toBe(4);
      for (const row of there) expect(column(row, 'top1Percent_n')).toBe('0');
      for (const row of rows.filter((each) => column(each, 'machine') === 'all')) {
        expect(column(row, 'runs')).toBe('6');
        expect(column(row, 'wallSeconds_n')).toBe('0');
      }
      const report = readFileSync(join(place('two'), 'report.html'), 'utf8');
      expect(report).toContain('12 of 12 finished');
      expect(report).toContain('Cost, on a &lt;faster&gt; one');
      rmSync(join(place('two'), 'report.html'));
      expect(bench(file, '--out', place('two'), '--report-only').status).toBe(0);
    }
  });

  it('takes of a part that is there twice the later complete one', () => {
    const [older, partial] = [place('older'), place('partial')];
    const change = (folder: string, year: string, top1: number, count: number) => {
      cpSync(part(1), folder, { recursive: true });
      const lines = linesOf(part(1)).slice(0, count);
      const changed = lines.map((line) => ({
        ...line,
        at: `${year}${line.at.slice(4)}`,
        result: { ...line.result, top1 },
      }));
      writeFileSync(join(folder, 'results.jsonl'), changed.map((line) => `${JSON.stringify(line)}\n`).join(''));
    };
    change(older, '2020', 0.001, 4);
    change(partial, '2099', 0.999, 3);
    const merged = bench('merge', part(1), older, part(2), partial, part(3), '--out', place('twice'));
    expect(merged.status, merged.stderr).toBe(0);
    expect(accuraciesIn(place('twice'))).toEqual(accuraciesIn(place('whole')));
  });

  it('refuses in one line what does not belong together', async () => {
    const merge = (...folders: string[]) => cliHere(['bench', 'merge', ...folders, '--out', place('never')]);
    const changed = (name: string, change: object) => {
      cpSync(part(2), place(name), { recursive: true });
      const shard = JSON.parse(readFileSync(join(part(2), 'shard.json'), 'utf8')) as object;
      writeFileSync(join(place(name), 'shard.json'), JSON.stringify({ ...shard, ...change }));
      return place(name);
    };
    expectRefusal(
      await merge(part(1), changed('v', { version: '0.0.1' })),
      /v cannot be joined with .*part1: it was made by ort-tl 0\.0\.1, the other by/,
    );
    expectRefusal(
      await merge(part(1), changed('n', { count: 4 })),
      /it is shard 2\/4, the other 1\/3: they are not parts of one whole/,
    );
    expectRefusal(
      await merge(part(1), changed('s', { name: 'other' })),
      /it holds a part of the suite other, the other of twelve/,
    );
    const contents = { 'cnn-pictures': '0000000000000000' };
    expectRefusal(
      await merge(part(1), changed('f', { suite: 'x', contents })),
      /another form of the suite twelve: model, photos, settings or versions of the row cnn-pictures/,
    );
    expectRefusal(
      await merge(part(1), changed('d', { format: 7 })),
      /cannot read .*shard\.json: .*format.*; run this part again/,
    );
    expectRefusal(await merge(part(1), place('whole')), /whole holds no part of a suite: there is no shard\.json/);
    expectRefusal(await merge(), /expected the folders of the parts, and where to join them/);
    expectRefusal(await cliHere(['bench', 'merge', part(1), '--out', part(1)]), /part1 holds shard 1\/3 of twelve/);
    expect(existsSync(place('never'))).toBe(false);
    expectRefusal(
      await cliHere(['bench', file, '--shard', '3/3', '--out', part(1)]),
      /part1 holds shard 1\/3 of twelve; choose another folder for shard 3\/3 \(--out\)/,
    );
    expectRefusal(
      await cliHere(['bench', file, '--out', part(1)]),
      /holds shard 1\/3 of twelve; say so \(--shard\), or join all parts/,
    );
    expectRefusal(
      await cliHere(['bench', file, '--shard', '1/3', '--out', place('all')]),
      /holds a suite whose parts were joined/,
    );
    expectRefusal(
      await cliHere(['bench', file, '--shard', '4/3']),
      /expected a shard from 1 to 3, got `4\/3` \(--shard\)/,
    );
    expectRefusal(
      await cliHere(['bench', file, 'other.yaml']),
      /expected one suite, got .*twelve\.yaml and other\.yaml/,
    );
  });
});
