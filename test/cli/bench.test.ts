import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { browser } from '../chromium.js';
import { until } from '../processes.js';
import { cli, cliHere, expectRefusal, main } from './cli.js';

const TINY = `title: A <tiny> suite
models: { cnn: small_cnn }
data: { pictures: { drawn: { train: 8, val: 4, size: 32 } }, gone: nowhere }
policies: [F1C0, F1C1]
seeds: [0, 1]
train: { epochs: 2, batch: 16 }
energy: { source: none }
warm-up: false
rows:
  - model: cnn
    data: pictures
    paper: { fc: 69.5, fxc1: 76.5, energy-fc: 844.9, energy-fxc1: 31097.5, gain: 10.01, faster: 19.98 }
  - { model: cnn, data: gone, title: a row without files }
`;

function suite(text: string): { file: string; out: string } {
  const folder = mkdtempSync(join(tmpdir(), 'ort-tl-'));
  const file = join(folder, 'tiny.yaml');
  writeFileSync(file, text);
  return { file, out: join(folder, 'out') };
}

interface Line {
  readonly id: string;
  readonly at: string;
  readonly result?: {
    readonly top1: number;
    readonly cpuSeconds: number | null;
    readonly energy: { readonly grossJ: number } | null;
    readonly curve: readonly { readonly seconds: number }[];
  };
  readonly error?: string;
}
const linesOf = (out: string): Line[] =>
  readFileSync(join(out, 'results.jsonl'), 'utf8')
    .split('\n')
    .flatMap((line) => {
      try {
        return [JSON.parse(line) as Line];
      } catch {
        return [];
      }
    });

describe('ort-tl bench', () => {
  const { file, out } = suite(TINY);
  let lines: Line[] = [];
  let report = '';
  beforeAll(() => {
    const ran = cli(['bench', file, '--out', out]);
    expect(ran.stderr).toContain('missing: a row without files: data set gone: there is no nowhere');
    expect(ran.status, ran.stderr).toBe(0);
    expect(ran.stdout).toContain('4 of 4 runs are finished');
    lines = linesOf(out);
    report = readFileSync(join(out, 'report.html'), 'utf8');
  }, 100_000);

  it('keeps every run with its curve', () => {
    expect(lines.map(({ id }) => id).sort()).toEqual([
      'cnn-pictures/F1C0/cold/seed-0',
      'cnn-pictures/F1C0/cold/seed-1',
      'cnn-pictures/F1C1/cold/seed-0',
      'cnn-pictures/F1C1/cold/seed-1',
    ]);
    for (const { result } of lines) {
      const [first, second] = result?.curve ?? [];
      expect(first?.seconds).toBeGreaterThan(0);
      expect(second?.seconds).toBeGreaterThan(first?.seconds ?? NaN);
    }
  });

  it('leaves nothing behind but results, photos and the report', () => {
    expect(readdirSync(out).sort()).toEqual([
      '.ort-tl-suite.json',
      'figures',
      'pictures',
      'report.html',
      'results.jsonl',
      'summary.csv',
    ]);
  });

  it('reports the paper beside what was measured, and what is missing', () => {
    const top1 = (policy: string) => {
      const values = lines.flatMap(({ id, result }) => (id.includes(`/${policy}/`) && result ? [result.top1] : []));
      return (100 * values.reduce((sum, value) => sum + value, 0)) / values.length;
    };
    const [fc, conv] = [top1('F1C0'), top1('F1C1')];
    expect(report).toContain('<title>A &lt;tiny&gt; suite</title>');
    for (const figure of ['69.5 %', '76.5 %', '31,097.5 nJ', '10.01 %', '19.98 %']) expect(report).toContain(figure);
    expect(report).toContain(`${fc.toFixed(1)} ±`);
    expect(report).toContain(`${((100 * (conv - fc)) / fc).toFixed(2)} %`);
    expect(report).toContain('missing: data set gone: there is no nowhere');
    expect(report).toContain('not measured (it was not asked for)');
    expect(report.match(/<svg /g)).toHaveLength(6);
    expect(report).not.toMatch(/<script|<link|<img|@import|url\((?!#)/);
    expect(report).not.toContain(out);
  });

  it('sums up each policy as CSV', () => {
    const [headings = '', ...rows] = readFileSync(join(out, 'summary.csv'), 'utf8').trim().split('\n');
    const columns = headings.split(',');
    const conv = rows.find((row) => row.includes(',F1C1,'))?.split(',') ?? [];
    const values = lines.flatMap(({ id, result }) => (id.includes('/F1C1/') && result ? [100 * result.top1] : []));
    const [a = NaN, b = NaN] = values;
    const read = (name: string) => Number(conv[columns.indexOf(name)]);
    expect(read('top1Percent_n')).toBe(2);
    expect(read('top1Percent_mean')).toBeCloseTo((a + b) / 2, 4);
    expect(read('top1Percent_sd')).toBeCloseTo(Math.abs(a - b) / Math.SQRT2, 4);
    // Student's quantile for one degree of freedom.
    expect(read('top1Percent_high95')).toBeCloseTo((a + b) / 2 + (12.7062 * Math.abs(a - b)) / 2, 2);
  });

  it('writes each chart as SVG and PNG', () => {
    const figures = readdirSync(join(out, 'figures'));
    expect(figures.filter((name) => name.endsWith('.svg'))).toHaveLength(6);
    for (const name of figures.filter((each) => each.endsWith('.png')))
      expect(
        readFileSync(join(out, 'figures', name))
          .subarray(1, 4)
          .toString(),
      ).toBe('PNG');
  });

  it('runs nothing again', () => {
    expect(cli(['bench', file, '--out', out, '--quiet'])).toMatchObject({ status: 0 });
    expect(linesOf(out)).toHaveLength(4);
  });

  it('lists runs, and estimates those that are left from finished ones and from short trainings', () => {
    const { stdout, status } = cli(['bench', file, '--out', out, '--dry-run', '--json', '--only', 'F1C1']);
    expect(status).toBe(0);
    const forecast = JSON.parse(stdout) as { runs: { id: string; basis: string }[] };
    expect(forecast.runs.map(({ basis }) => basis)).toEqual(['finished', 'finished']);
    writeFileSync(
      file,
      TINY.replace('seeds: [0, 1]', 'seeds: [0, 1, 2]').replace('[F1C0, F1C1]', '[F1C0, F1C1, F1C2]'),
    );
    const more = cli(['bench', file, '--out', out, '--dry-run', '--json', '--only', 'seed-2']);
    writeFileSync(file, TINY);
    const { runs } = JSON.parse(more.stdout) as { runs: { id: string; basis: string; seconds: number }[] };
    expect(runs.map(({ id, basis }) => `${id.split('/')[1] ?? ''} ${basis}`).sort()).toEqual([
      'F1C0 measured before',
      'F1C1 measured before',
      'F1C2 probe',
    ]);
    for (const { seconds } of runs) expect(seconds).toBeGreaterThan(0);
  });

  it.skipIf(browser === undefined)(
    'opens from the disk in Chromium, light and dark, wide and narrow (skipped where there is no Chromium)',
    async () => {
      const opened = await chromium.launch({ executablePath: browser ?? '', args: ['--no-sandbox'] });
      try {
        for (const colorScheme of ['light', 'dark'] as const) {
          for (const width of [1200, 400]) {
            const page = await opened.newPage({ colorScheme, viewport: { width, height: 800 } });
            const said: string[] = [];
            const asked: string[] = [];
            page.on('console', (message) => said.push(message.text()));
            page.on('pageerror', ({ message }) => said.push(message));
            page.on('request', (request) => asked.push(request.url()));
            await page.goto(`file://${join(out, 'report.html')}`);
            const seen = await page.evaluate(LOOK);
            expect(said).toEqual([]);
            expect(asked).toHaveLength(1);
            expect(seen.charts).toHaveLength(6);
            for (const chart of seen.charts) {
              expect(chart.width).toBeGreaterThan(200);
              expect(chart.height).toBeGreaterThan(150);
              expect(chart.label.length).toBeGreaterThan(20);
            }
            expect(seen.scrollWidth).toBeLessThanOrEqual(width);
            // WCAG 2.2, level AA.
            expect(seen.lowestContrast).toBeGreaterThan(4.5);
            await page.close();
          }
        }
      } finally {
        await opened.close();
      }
    },
    60_000,
  );
});

interface Seen {
  readonly charts: readonly { readonly width: number; readonly height: number; readonly label: string }[];
  readonly scrollWidth: number;
  readonly lowestContrast: number;
}

/** Runs in the page: what its charts measure, how wide it is, and the least contrast of a text with the page. */
const LOOK = `(() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const luminance = (text) => {
    const [r, g, b] = rgb(text).map((each) => { const c = each / 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = getComputedStyle(each).backgroundColor;
      if (colour !== 'rgba(0, 0, 0, 0)' && colour !== 'transparent') return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const texts = [...document.querySelectorAll('p, h1, h2, h3, td, th, dt, dd, a, li, summary, figcaption, svg text')];
  const contrasts = texts.filter((each) => each.textContent.trim() !== '').map((each) => {
    const style = getComputedStyle(each);
    const [a, b] = [luminance(each.closest('svg') ? style.fill : style.color), luminance(behind(each))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  });
  return {
    charts: [...document.querySelectorAll('svg[role=img]')].map((svg) => {
      const { width, height } = svg.getBoundingClientRect();
      return { width, height, label: svg.getAttribute('aria-label') };
    }),
    scrollWidth: document.documentElement.scrollWidth,
    lowestContrast: Math.min(...contrasts),
  };
})()` as unknown as () => Seen;

describe('a suite that goes wrong', () => {
  it('goes on after kill -9, and loses no finished run', async () => {
    const { file, out } = suite(TINY);
    const child = spawn(process.execPath, [main, 'bench', file, '--out', out], { stdio: 'ignore' });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    const results = join(out, 'results.jsonl');
    // Somewhere within a run, when one is finished.
    while (child.exitCode === null && (!existsSync(results) || linesOf(out).length < 1)) await pause(20);
    await pause(300);
    child.kill('SIGKILL');
    await ended;
    // The training that was under way ends by itself.
    await until(() => processesNaming(join(out, 'work-')).length === 0);
    const before = linesOf(out).filter(({ result }) => result);
    expect(before.length).toBeGreaterThan(0);
    expect(before.length).toBeLessThan(4);
    // What a write that was cut off leaves.
    writeFileSync(results, '{"id":"cnn-pict', { flag: 'a' });
    const again = cli(['bench', file, '--out', out]);
    expect(again.status, again.stderr).toBe(0);
    expect(again.stdout).toContain(`${before.length} of 4 runs are finished`);
    const after = linesOf(out);
    expect(after).toHaveLength(4);
    expect(after.slice(0, before.length)).toEqual(before);
    expect(readdirSync(out).filter((name) => name.startsWith('work-'))).toEqual([]);
  }, 100_000);

  it('ends the training and keeps what is finished when it is stopped', async () => {
    const { file, out } = suite(TINY.replace('epochs: 2', 'epochs: 2000'));
    const child = spawn(process.execPath, [main, 'bench', file, '--out', out], { stdio: 'ignore' });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    const running = () =>
      existsSync(out) && readdirSync(out).some((name) => existsSync(join(out, name, 'run', 'events.jsonl')));
    while (child.exitCode === null && !running()) await pause(20);
    child.kill('SIGINT');
    expect(await ended).toBe(130);
    expect(existsSync(join(out, 'results.jsonl'))).toBe(false);
    expect(readdirSync(out).filter((name) => name.startsWith('work-'))).toEqual([]);
    expect(readFileSync(join(out, 'report.html'), 'utf8')).toContain('4 runs were not made yet');
  }, 100_000);

  it('keeps runs where there are none, or runs that were kept before', () => {
    const { file, out } = suite(TINY.replace('[F1C0, F1C1]', '[F1C0]').replace('[0, 1]', '[0]'));
    const place = join(out, 'runs', 'cnn-pictures', 'F1C0', 'cold', 'seed-0');
    mkdirSync(place, { recursive: true });
    writeFileSync(join(place, 'model.onnx'), 'mine');
    const bench = () => cli(['bench', file, '--out', out, '--keep-runs']);
    expectRefusal(bench(), /seed-0 holds model\.onnx, which a run would replace and ort-tl did not write/);
    expect(readFileSync(join(place, 'model.onnx'), 'utf8')).toBe('mine');
    rmSync(join(place, 'model.onnx'));
    expect(bench()).toMatchObject({ status: 0 });
    const epochs = () => readFileSync(join(place, 'results.csv'), 'utf8').trim().split('\n').length - 1;
    expect(epochs()).toBe(2);
    writeFileSync(join(place, 'notes.txt'), 'mine');
    writeFileSync(file, readFileSync(file, 'utf8').replace('epochs: 2', 'epochs: 1'));
    expect(bench()).toMatchObject({ status: 0 });
    expect(epochs()).toBe(1);
    expect(readFileSync(join(place, 'notes.txt'), 'utf8')).toBe('mine');
  }, 100_000);

  it('calls an estimate of energy one', () => {
    const { file, out } = suite(TINY.replace('[0, 1]', '[0]'));
    const flags = ['--only', 'F1C0', '--energy', 'estimate', '--watts', '10'];
    expect(cli(['bench', file, '--out', out, ...flags]).status).toBe(0);
    const [line] = linesOf(out);
    expect(line?.result?.energy?.grossJ).toBeCloseTo(10 * (line?.result?.cpuSeconds ?? NaN), 6);
    const report = readFileSync(join(out, 'report.html'), 'utf8');
    expect(report).toContain('energy, gross, estimated, J');
    expect(report).toContain('estimated from CPU seconds, not measured');
  });

  it('records why a run failed, goes on with the others, and exits with 1', () => {
    const { file, out } = suite(TINY.replace('[F1C0, F1C1]', '[F1C0, "layers:nothing"]').replace('[0, 1]', '[0]'));
    const ran = cli(['bench', file, '--out', out]);
    expect(ran.status).toBe(1);
    const lines = linesOf(out);
    expect(lines.find(({ id }) => id.includes('F1C0'))?.result).toBeDefined();
    expect(lines.find(({ id }) => id.includes('layers'))?.error).toMatch(/nothing/);
    expect(readFileSync(join(out, 'report.html'), 'utf8')).toContain('failed: ');
  });

  it('says in one line what it cannot run', async () => {
    const { file, out } = suite(TINY);
    expectRefusal(
      await cliHere(['bench', 'no-such.yaml']),
      /there is no file no-such\.yaml; name a suite, .* comes with ort-tl: quick, paper, scale$/m,
    );
    expectRefusal(await cliHere(['bench', file, '--out', out, '--only', 'F1C7']), /no run is called F1C7 \(--only\)/);
    expectRefusal(
      await cliHere(['bench', file, '--out', out, '--data', 'pictures']),
      /expected NAME=PATH, got `pictures`/,
    );
    expectRefusal(
      await cliHere(['bench', file, '--out', out, '--data', 'pics=.']),
      /no data set `pics`; did you mean `pictures`/,
    );
    const { file: fast } = suite(`${TINY}vary:\n  lr: [0.001, fast]\n`);
    const line = TINY.split('\n').length + 1;
    expectRefusal(
      await cliHere(['bench', fast, '--dry-run']),
      new RegExp(`line ${line}: expected the learning rate to be a positive number or auto, got .* \\(vary\\.lr\\)`),
    );
    const { file: lacking } = suite('models: { m: gone.onnx }\ndata: { d: photos }\n');
    expectRefusal(await cliHere(['bench', lacking]), /nothing of .* can be run: model m: there is no gone\.onnx/);
    const { file: wrong } = suite('models: { m: small_cnn }\ndata: { d: . }\ntrain: { epoch: 1 }\n');
    expectRefusal(await cliHere(['bench', wrong]), /line 3: there is no setting `epoch`; did you mean `epochs`\?/);
  });
});

/** Processes that were called with such a word; none where there is no /proc. */
function processesNaming(word: string): string[] {
  if (process.platform !== 'linux') return [];
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(word);
    } catch {
      return false;
    }
  });
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
