import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Records } from '../../src/bench/records.js';
import { SuiteFolder } from '../../src/bench/suiteFolder.js';
import { built, killed, runs, startScript } from '../processes.js';

const folder = () => mkdtempSync(join(tmpdir(), 'ort-tl-'));
const RECORD = `${JSON.stringify({ id: 'a/F1C0/cold/seed-0', round: 1, setting: 'x', at: '2026-01-02', error: 'no' })}\n`;

describe('the folder of a suite', () => {
  it("keeps a user's folders, whatever they are called, and leaves a user's processes alone", async () => {
    const out = folder();
    const mine = join(out, 'work-2024');
    mkdirSync(mine);
    writeFileSync(join(mine, 'thesis.txt'), 'mine');
    const child = spawn(process.execPath, ['-e', 'setInterval(() => undefined, 1000)', join(mine, 'some.csv')]);
    const suite = await SuiteFolder.open(out);
    await suite.makeWork().remove();
    suite.close();
    expect(readFileSync(join(mine, 'thesis.txt'), 'utf8')).toBe('mine');
    expect(runs(child.pid ?? 0)).toBe(true);
    await killed(child);
  });

  it('is cleared of what a suite that was killed has left', async () => {
    const out = folder();
    const child = await startScript(`
      import { writeFileSync } from 'node:fs';
      import { join } from 'node:path';
      import { SuiteFolder } from ${built('bench/suiteFolder')};
      const suite = await SuiteFolder.open(${JSON.stringify(out)});
      writeFileSync(join(suite.makeWork().path, 'some'), '');
      console.log('works');
      setInterval(() => undefined, 1000);`);
    await expect(SuiteFolder.open(out)).rejects.toMatchObject({
      code: 'folder-in-use',
      message: expect.stringMatching(`^process ${child.pid ?? 0} on .* is running a suite in ${out} since `) as string,
    });
    await killed(child);
    expect(readdirSync(out).filter((name) => name.startsWith('work-'))).toHaveLength(1);
    const suite = await SuiteFolder.open(out);
    suite.close();
    expect(readdirSync(out)).toEqual([]);
  });

  it.each(['results.jsonl', 'report.html', 'summary.csv', join('figures', 'mine.svg')])(
    "is refused when it is no suite's and holds %s",
    async (name) => {
      const out = folder();
      mkdirSync(join(out, 'figures'), { recursive: true });
      writeFileSync(join(out, name), 'mine');
      await expect(SuiteFolder.open(out)).rejects.toMatchObject({ code: 'foreign-files' });
      expect(readFileSync(join(out, name), 'utf8')).toBe('mine');
      expect(existsSync(join(out, '.ort-tl-suite.json'))).toBe(false);
    },
  );

  it('is known for one by the results of version 0.1.0, which did not mark it', async () => {
    const out = folder();
    for (const [name, content] of [
      ['results.jsonl', RECORD],
      ['report.html', ''],
    ] as const)
      writeFileSync(join(out, name), content);
    const suite = await SuiteFolder.open(out);
    expect(Records.open(suite.records).entries).toHaveLength(1);
    suite.close();
  });
});

it('keeps a file that holds no records, asked to begin anew too', () => {
  const path = join(folder(), 'results.jsonl');
  for (const content of ['{"mine": 1}\n{"mine": 2}\n', 'some text']) {
    writeFileSync(path, content);
    for (const fresh of [false, true])
      expect(() => Records.open(path, { fresh })).toThrow(expect.objectContaining({ code: 'foreign-files' }));
    expect(readFileSync(path, 'utf8')).toBe(content);
  }
  writeFileSync(path, RECORD);
  expect(Records.open(path, { fresh: true }).entries).toEqual([]);
});
