import { join } from 'node:path';
import { pngOfSvg } from '../data/rasterize.js';
import { drawChart, labelledChart, standaloneChart } from '../figures/chart.js';
import { escapeHtml, htmlPage } from '../figures/page.js';
import { type FileContent, writeFilesAtomically } from '../files.js';
import { reached } from './runResult.js';
import { interval95, meanOf } from './statistics.js';
import type { CacheState, SuiteRow } from './suite.js';
import { costFigure, curveFigures, type Figure, growthFigure, type TradeOff, tradeOffFigure } from './suiteFigures.js';
import {
  type Cell,
  cellsOf,
  costQuantity,
  type Quantity,
  quantities,
  quantityCalled,
  type SuiteResults,
  valuesOf,
} from './suiteResults.js';
import { summaryCsv } from './suiteTable.js';
import { significant } from './table.js';

/**
 * Writes what a suite has found so far: `summary.csv`, `report.html`, and each chart below `figures/` as SVG and PNG.
 * @throws UserError `write-failed`.
 */
export async function writeSuiteReport(results: SuiteResults, out: string): Promise<void> {
  const cells = cellsOf(results);
  const report = new Report(results, cells);
  const page = await report.page();
  const files: FileContent[] = [
    { path: join(out, 'summary.csv'), parts: [summaryCsv(cells)] },
    { path: join(out, 'report.html'), parts: [page] },
  ];
  for (const [name, svg] of report.drawn) {
    files.push({ path: join(out, 'figures', `${name}.svg`), parts: [standaloneChart(svg)] });
    files.push({ path: join(out, 'figures', `${name}.png`), parts: [await pngOfSvg(svg)] });
  }
  await writeFilesAtomically(files);
}

class Report {
  /** Charts by their files' names. */
  readonly drawn = new Map<string, string>();
  private readonly cost: { readonly quantity: Quantity; readonly estimated: boolean };
  private readonly rowsDone: readonly SuiteRow[];

  constructor(
    private readonly results: SuiteResults,
    private readonly cells: readonly Cell[],
  ) {
    this.cost = costQuantity(cells);
    this.rowsDone = results.suite.rows.filter((row) =>
      this.cellsOfRow(row).some(({ finished }) => finished.length > 0),
    );
  }

  async page(): Promise<string> {
    const { suite } = this.results;
    const growth = suite.report === 'growth';
    const sections: { id: string; title: string; body: string }[] = [];
    const add = (id: string, title: string, body: string) => {
      if (body !== '') sections.push({ id, title, body });
    };
    if (growth) add('growth', 'How cost grows', await this.growth());
    else {
      add(
        'comparison',
        suite.rows.some(({ paper }) => paper)
          ? 'The paper’s Table 2, and ours'
          : 'The head alone, and one convolution more',
        this.comparison(),
      );
      for (const row of this.rowsDone) add(row.name, row.title, await this.rowSection(row));
    }
    add('policies', 'Every policy', this.policyTable());
    add('runs', 'Every run', this.runTable());
    add('missing', 'What is missing', this.missing());
    add('method', 'How it was measured', this.method());
    const contents = sections.map(({ id, title }) => `<li><a href="#${id}">${escapeHtml(title)}</a></li>`).join('');
    const body = [
      `<p class="lead">${escapeHtml(suite.description)}</p>`,
      this.facts(),
      `<nav aria-label="Contents"><ul>${contents}</ul></nav>`,
      ...sections.map(
        ({ id, title, body: html }) => `<section id="${id}"><h2>${escapeHtml(title)}</h2>\n${html}</section>`,
      ),
    ];
    return htmlPage(suite.title, `<main>${body.join('\n')}</main>`, STYLE);
  }

  /** What one must know at first sight. */
  private facts(): string {
    const { outcomes, machine, energy, suite } = this.results;
    const finished = outcomes.filter(({ result }) => result);
    const last = outcomes
      .flatMap(({ at }) => at ?? [])
      .sort()
      .at(-1);
    const seeds = [...new Set(suite.rows.flatMap((row) => row.seeds))];
    const facts: [string, string][] = [
      [
        'Runs',
        `${finished.length} of ${outcomes.length} finished${last === undefined ? '' : `, the last on ${last.slice(0, 10)}`}`,
      ],
      [
        'Seeds',
        `${seeds.length === 1 ? 'one' : seeds.length}${suite.repeat > 1 ? `, each ${suite.repeat} times` : ''}`,
      ],
      ['Machine', `${machine.processor}, ${machine.cores} cores, ${gigabytes(machine.memoryBytes)}`],
      ['Energy', energy.startsWith('not measured') ? 'not measured; why is told below' : energy],
    ];
    return `<dl class="facts">${facts.map(([what, told]) => `<div><dt>${what}</dt><dd>${escapeHtml(told)}</dd></div>`).join('')}</dl>`;
  }

  private cellsOfRow(row: SuiteRow, cache?: CacheState): Cell[] {
    return this.cells.filter((cell) => cell.row.name === row.name && (cache === undefined || cell.cache === cache));
  }

  /** The cells whose accuracies are told: those with a warm cache are the same. */
  private leading(row: SuiteRow): Cell[] {
    const { caches } = this.results.suite;
    const cache = caches.find((each) => this.cellsOfRow(row, each).some(({ finished }) => finished.length > 0));
    return this.cellsOfRow(row, cache ?? 'cold');
  }

  private comparison(): string {
    const { suite } = this.results;
    const rows = suite.rows.map((row) => {
      const leading = this.leading(row);
      const fc = leading.find(({ policy }) => policy === suite.baseline);
      const conv = leading.find(({ policy }) => /^F(x|\d+)C1$/.test(policy));
      const title = `<th scope="row" rowspan="${row.paper ? 2 : 1}">${escapeHtml(row.title)}</th>`;
      const ours = `<td>here</td>${this.ourFigures(row, fc, conv)}`;
      if (!row.paper) return `<tr>${title}${ours}</tr>`;
      const { paper } = row;
      const printed = [
        percent(paper.fc),
        percent(paper.fxc1),
        `${paper['energy-fc'].toLocaleString('en-US')} nJ`,
        `${paper['energy-fxc1'].toLocaleString('en-US')} nJ`,
        percent(paper.gain, 2),
        percent(paper.faster, 2),
      ];
      return `<tr>${title}<td>paper</td>${printed.map(numberCell).join('')}</tr><tr class="ours">${ours}</tr>`;
    });
    const energy =
      this.cost.quantity.unit === 'J'
        ? this.unitOf(this.cost.quantity)
        : `${this.unitOf(this.cost.quantity)} (energy: not measured)`;
    const headings = [
      ...['model, pretrained → target', '', `FC only (${suite.baseline})`, 'FxC1'],
      ...[`${energy}, FC only`, `${energy}, FxC1`, 'accuracy gain', 'faster convergence'],
    ];
    const isOfPaper = suite.rows.some(({ paper }) => paper);
    return `${table(headings, rows, 'Accuracy, energy, gain in accuracy and faster convergence', 2)}
<div class="notes"><p><b>FC only</b> and <b>FxC1</b>: top-1 on the validation photos at the best epoch, mean over seeds ± half of Student’s interval of 95 %.
FC only is ${escapeHtml(suite.baseline)}, FxC1 the policy of that kind that the suite has, every fully connected layer and the last convolution.</p>
<p><b>Accuracy gain</b>: (FxC1 − FC only) ÷ FC only, of the means, in percent, which is how the paper’s own column follows from its accuracies.</p>
<p><b>Faster convergence</b>: 1 − (the first epoch at which FxC1 is as accurate as FC only at its best) ÷ (the first epoch at which FC only is), in percent,
for each seed, then the mean; seeds in which FxC1 never gets there are left out, and counted. The table of the paper does not say how it counts.</p>
<p><b>Energy</b>: ${this.energyNote()}${
      isOfPaper
        ? ' The paper’s nanojoules are its own model’s of a microcontroller’s arithmetic and are not comparable with what a whole computer draws: compare the ratios of the two columns.'
        : ''
    }</p></div>`;
  }

  private ourFigures(row: SuiteRow, fc: Cell | undefined, conv: Cell | undefined): string {
    if (row.missing !== undefined) return `<td colspan="6" class="absent">missing: ${escapeHtml(row.missing)}</td>`;
    const top1 = quantityCalled('top1Percent');
    const shown = (cell: Cell | undefined, quantity: Quantity) =>
      numberCell(cell ? this.show(cell, quantity, true) : 'not in the suite');
    const [a, b] = [fc, conv].map((cell) => (cell ? valuesOf(cell, top1) : []));
    const gain =
      a && b && a.length > 0 && b.length > 0 ? percent((100 * (meanOf(b) - meanOf(a))) / meanOf(a), 2) : 'not run';
    return [
      shown(fc, top1),
      shown(conv, top1),
      shown(fc, this.cost.quantity),
      shown(conv, this.cost.quantity),
      numberCell(gain),
      numberCell(fc && conv ? fasterConvergence(fc, conv) : 'not in the suite'),
    ].join('');
  }

  private async rowSection(row: SuiteRow): Promise<string> {
    const leading = this.leading(row);
    const curves = curveFigures(row, leading);
    const { quantity, estimated } = this.cost;
    const hasEnergy = quantity.unit === 'J';
    const bars = [
      costFigure(
        row,
        this.cellsOfRow(row),
        quantity,
        hasEnergy ? 'Energy of each policy' : 'CPU seconds of each policy (energy: not measured)',
        estimated,
      ),
    ].flatMap((each) => each ?? []);
    const tradeOffs = this.results.suite.caches.flatMap((cache) => {
      const cells = this.cellsOfRow(row, cache);
      const against = (cost: Quantity, isEstimated: boolean) =>
        tradeOffFigure(row, cache, cells, quantityCalled('top1Percent'), cost, isEstimated);
      const pair = [against(quantity, estimated), against(quantityCalled('trainingSeconds'), false)];
      return [{ cache, pair: pair.flatMap((each) => each ?? []) }];
    });
    const parts = [`<p>${escapeHtml(this.verdict(leading, tradeOffs))}</p>`];
    parts.push(
      await this.figures(
        'Accuracy and loss',
        `Figure 1. Lines are means over seeds, bands reach from the least to the most.`,
        curves,
      ),
    );
    const hasCaches = this.results.suite.caches.length > 1;
    const energyNote = hasEnergy ? '' : ` Energy: ${this.energyNote()}`;
    parts.push(
      await this.figures(
        'Cost',
        `Figure 2. Bars are means over seeds, lines on them reach from the least to the most.${hasCaches ? ' Full colour: with a cold cache; pale: with a warm one.' : ''}${energyNote}`,
        bars,
      ),
    );
    for (const [index, { cache, pair }] of tradeOffs.entries()) {
      const which = this.results.suite.caches.length > 1 ? `, ${cache} cache` : '';
      parts.push(
        await this.figures(
          `Accuracy against cost${which}`,
          index > 0
            ? ''
            : `Points are means over seeds, vertical lines reach from the least to the most accuracy. Dashed: the Pareto front, policies that no other beats in both. Ringed: its knee, of the points of the front, both axes scaled linearly to 0 … 1, the one farthest above the line from the first to the last (Kneedle; Satopää and others, 2011).`,
          pair.map(({ figure }) => figure),
        ),
      );
    }
    return parts.join('\n');
  }

  /** In words: the most accurate policy, and where the knees are. */
  private verdict(
    leading: readonly Cell[],
    tradeOffs: readonly { readonly cache: CacheState; readonly pair: readonly TradeOff[] }[],
  ): string {
    const top1 = quantityCalled('top1Percent');
    const known = leading.filter((cell) => valuesOf(cell, top1).length > 0);
    const [best] = known.toSorted((a, b) => meanOf(valuesOf(b, top1)) - meanOf(valuesOf(a, top1)));
    if (!best) return '';
    const example = best.finished[0]?.result;
    const photos = example
      ? `${example.trainPhotos.toLocaleString('en-US')} photos to train with, ${example.valPhotos.toLocaleString('en-US')} to validate. `
      : '';
    const knees = tradeOffs.flatMap(({ cache, pair }) =>
      pair.map(({ knee, figure }) => {
        const which = this.results.suite.caches.length > 1 ? ` (${cache} cache)` : '';
        return `${figure.title.replace('Accuracy ', '')}${which}: ${knee ?? 'none'}`;
      }),
    );
    return `${photos}The most accurate is ${best.policy}, ${this.show(best, top1, true)}. The knee of accuracy ${knees.join('; ')}.`;
  }

  private async figures(title: string, caption: string, figures: readonly Figure[]): Promise<string> {
    if (figures.length === 0) return '';
    const drawn: string[] = [];
    for (const { name, title: called, label, spec } of figures) {
      const svg = await drawChart(spec, { standalone: false });
      this.drawn.set(name, svg);
      drawn.push(`<figure><figcaption>${escapeHtml(called)}</figcaption>${labelledChart(svg, label)}</figure>`);
    }
    return `<h3>${escapeHtml(title)}</h3><div class="charts">${drawn.join('\n')}</div>${caption === '' ? '' : `<p class="caption">${escapeHtml(caption)}</p>`}`;
  }

  /** Time, CPU and memory along the number of photos and along whatever the suite varies. */
  private async growth(): Promise<string> {
    const { suite } = this.results;
    const done = this.cells.filter(({ finished }) => finished.length > 0);
    const axes = [
      { name: 'photos to train with', at: (cell: Cell) => cell.finished[0]?.result.trainPhotos },
      ...[...new Set(suite.rows.flatMap((row) => Object.keys(row.varied)))].map((key) => ({
        name: key,
        at: (cell: Cell) => (typeof cell.row.varied[key] === 'number' ? cell.row.varied[key] : undefined),
      })),
    ];
    const policies = [...new Set(suite.rows.flatMap((row) => row.policies))];
    const parts: string[] = [];
    for (const axis of axes) {
      const figures: Figure[] = [];
      if (new Set(done.map(axis.at)).size < 2) continue;
      // One chart for each combination of everything else.
      const groups = new Map<string, Cell[]>();
      for (const cell of done) {
        const others = axes.flatMap((other) => (other === axis ? [] : [`${other.name} ${other.at(cell) ?? '?'}`]));
        const key = [...(suite.caches.length > 1 ? [`${cell.cache} cache`] : []), ...others].join(', ');
        groups.set(key, [...(groups.get(key) ?? []), cell]);
      }
      for (const quantity of ['trainingSeconds', 'cpuSeconds', 'peakRssMB'].map(quantityCalled)) {
        for (const [where, cells] of groups) {
          const points = cells.flatMap((cell) => {
            const [at, values] = [axis.at(cell), valuesOf(cell, quantity)];
            return at === undefined || values.length === 0 ? [] : [{ at, policy: cell.policy, value: meanOf(values) }];
          });
          if (new Set(points.map(({ at }) => at)).size < 2) continue;
          const name = `growth-${axis.name}-${quantity.key}-${where}`.replaceAll(/[^\w-]+/g, '-').replace(/-$/, '');
          figures.push(growthFigure(name, axis.name, points, policies, quantity, where));
        }
      }
      parts.push(await this.figures(`By ${axis.name}`, 'Points are means over seeds.', figures));
    }
    return parts.join('\n');
  }

  private policyTable(): string {
    const shown = quantities.filter((quantity) => this.cells.some((cell) => valuesOf(cell, quantity).length > 0));
    const hasCaches = this.results.suite.caches.length > 1;
    const rows = this.cells.flatMap((cell) => {
      const { finished } = cell;
      const example = finished[0]?.result;
      if (!example) return [];
      const got = finished.filter((run) => run.reached !== undefined).length;
      return [
        `<tr><th scope="row">${escapeHtml(cell.row.title)}</th><td>${escapeHtml(cell.policy)}</td>${hasCaches ? `<td>${cell.cache}</td>` : ''}${[
          percent((100 * example.trainableParameters) / example.parameters),
          String(finished.length),
          `${got} of ${finished.length}`,
          ...shown.map((quantity) => this.show(cell, quantity, true)),
        ]
          .map(numberCell)
          .join('')}</tr>`,
      ];
    });
    if (rows.length === 0) return '<p>No run has finished yet.</p>';
    const headings = [
      ...['', 'policy', ...(hasCaches ? ['cache'] : [])],
      ...['parameters that train', 'runs', 'reached target', ...shown.map((quantity) => this.unitOf(quantity))],
    ];
    return `<p>Means over seeds ± half of Student’s interval of 95 %. All of it, with standard deviations, is in <code>summary.csv</code>.</p>${table(headings, rows, 'What each policy gives and costs', hasCaches ? 3 : 2)}`;
  }

  private runTable(): string {
    const { outcomes, suite } = this.results;
    const finished = this.cells.flatMap((cell) => cell.finished);
    const shown = quantities.filter(({ read }) => finished.some((run) => read(run) !== undefined));
    const rows = outcomes.flatMap(({ run, result, error, at }) => {
      if (!result && error === undefined) return [];
      const head = `<th scope="row">${escapeHtml(run.row.name)}</th><td>${escapeHtml(run.policy)}</td><td>${run.cache}</td><td class="number">${run.seed}</td>${suite.repeat > 1 ? `<td class="number">${run.round}</td>` : ''}`;
      const known = finished.find((each) => each.run === run);
      if (!known)
        return [
          `<tr>${head}<td colspan="${shown.length + 1}" class="absent">failed: ${escapeHtml(error ?? '')}</td></tr>`,
        ];
      const cells = shown.map((quantity) => {
        const value = quantity.read(known);
        return numberCell(value === undefined ? absent(quantity) : significantOf(quantity, value));
      });
      return [`<tr>${head}${cells.join('')}<td>${escapeHtml(at?.slice(0, 16).replace('T', ' ') ?? '')}</td></tr>`];
    });
    if (rows.length === 0) return '';
    const headings = [
      ...['row', 'policy', 'cache', 'seed', ...(suite.repeat > 1 ? ['round'] : [])],
      ...[...shown.map((quantity) => this.unitOf(quantity)), 'ended (UTC)'],
    ];
    return `<details><summary>${rows.length} runs</summary>${table(headings, rows, 'Every run', 3)}</details>`;
  }

  private missing(): string {
    const { suite, outcomes, otherRecords } = this.results;
    const failed = outcomes.filter(({ result, error }) => !result && error !== undefined);
    const left = outcomes.filter(({ result, error }) => !result && error === undefined);
    const items = [
      ...suite.rows.flatMap(({ title, missing }) => (missing === undefined ? [] : [`${title}: ${missing}`])),
      ...failed.map(({ run, error }) => `${run.id} failed: ${error ?? ''}`),
      ...(left.length > 0 ? [`${left.length} runs were not made yet; the same command goes on with them`] : []),
      ...(otherRecords > 0
        ? [
            `${otherRecords} records of results.jsonl are of other settings, files or machines, and are not told of here`,
          ]
        : []),
    ];
    return items.length === 0 ? '' : `<ul>${items.map((each) => `<li>${escapeHtml(each)}</li>`).join('')}</ul>`;
  }

  private method(): string {
    const { machine, energy, suite, outcomes } = this.results;
    const { versions } = machine;
    const notes = new Set(outcomes.flatMap(({ result }) => result?.notes ?? []));
    const facts: [string, string][] = [
      ['Processor', `${machine.processor}, ${machine.cores} cores`],
      ['Memory', gigabytes(machine.memoryBytes)],
      ['System', machine.system],
      [
        'Versions',
        Object.entries(versions)
          .map(([name, version]) => `${name} ${version}`)
          .join(', '),
      ],
      ['Energy', energy],
      ['Cache of features', suite.caches.map((cache) => CACHES[cache]).join('; ')],
      [
        'Order',
        `seed by seed, within one in an order drawn with seed ${suite.order}; ${suite.warmUp ? 'a warm-up that is not measured reads all photos of each row first' : 'no warm-up'}`,
      ],
    ];
    const targets = new Map(suite.rows.map(({ data }) => [data.title, data.target]));
    for (const [title, target] of targets)
      facts.push([
        `Target, ${title}`,
        target === 'baseline' ? `the best top-1 of ${suite.baseline} with the same seed` : percent(100 * target),
      ]);
    const columns = quantities.map(
      ({ title, unit, what }) => [unit === '' ? title : `${title}, ${unit}`, what] as const,
    );
    const list = (items: readonly (readonly [string, string])[]) =>
      `<dl class="columns">${items.map(([what, told]) => `<div><dt>${escapeHtml(what)}</dt><dd>${escapeHtml(told)}</dd></div>`).join('')}</dl>`;
    return `${list(facts)}${notes.size > 0 ? `<ul>${[...notes].map((each) => `<li>${escapeHtml(each)}</li>`).join('')}</ul>` : ''}
<h3>What the columns mean</h3>${list(columns)}`;
  }

  private energyNote(): string {
    const { quantity, estimated } = this.cost;
    if (quantity.unit === 'J') {
      const which = quantity.key === 'netJ' ? 'net of what the idle machine draws' : 'gross, of the whole machine';
      return `${estimated ? 'estimated from CPU seconds, not measured' : 'measured'}, in joules, ${which}, of the whole process.`;
    }
    const reason = this.results.outcomes.flatMap(({ result }) => result?.energyNotMeasured ?? [])[0];
    return `not measured${reason === undefined ? '' : ` (${escapeHtml(reason)})`}; in its place stand the ${quantity.title === 'CPU' ? 'CPU seconds' : 'seconds'} of the whole process.`;
  }

  private unitOf(quantity: Quantity): string {
    const estimated = quantity.unit === 'J' && this.cost.estimated ? ', estimated' : '';
    return `${quantity.title}${estimated}${quantity.unit === '' ? '' : `, ${quantity.unit}`}`;
  }

  /** Mean and half of the interval. */
  private show(cell: Cell, quantity: Quantity, withInterval: boolean): string {
    const values = valuesOf(cell, quantity);
    if (values.length === 0) return cell.finished.length === 0 ? 'not run' : absent(quantity);
    const interval = withInterval ? interval95(values) : undefined;
    const half = interval ? ` ± ${significant(interval.high - interval.mean, 2)}` : '';
    return `${significantOf(quantity, meanOf(values))}${half}${quantity.unit === '%' ? ' %' : ''}`;
  }
}

const CACHES: Readonly<Record<CacheState, string>> = {
  cold: 'cold, each run begins with an empty one',
  warm: 'warm, filled before the run is measured',
};

const absent = ({ key, unit }: Quantity) =>
  key === 'epochsToTarget' || key === 'secondsToTarget' ? 'never' : unit === 'J' ? 'not measured' : 'unknown';

function significantOf({ unit }: Quantity, value: number): string {
  return unit === '%' ? value.toFixed(1) : significant(value);
}

function fasterConvergence(fc: Cell, conv: Cell): string {
  const shares: number[] = [];
  let pairs = 0;
  for (const { run, result } of conv.finished) {
    const other = fc.finished.find((each) => each.run.seed === run.seed && each.run.round === run.round);
    if (!other) continue;
    pairs++;
    const epoch = reached(result, other.result.top1)?.epoch;
    const epochOfFc = reached(other.result, other.result.top1)?.epoch;
    if (epoch !== undefined && epochOfFc !== undefined) shares.push(100 * (1 - epoch / epochOfFc));
  }
  if (pairs === 0) return 'not run';
  if (shares.length === 0) return `never, in ${pairs} seeds`;
  const interval = interval95(shares);
  const half = interval ? ` ± ${significant(interval.high - interval.mean, 2)}` : '';
  return `${meanOf(shares).toFixed(1)}${half} %${shares.length < pairs ? ` (in ${shares.length} of ${pairs} seeds)` : ''}`;
}

const percent = (value: number, digits = 1) => `${value.toFixed(digits)} %`;
const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
const numberCell = (text: string) => `<td class="number">${escapeHtml(text)}</td>`;

/** `rows` are HTML; the first `words` columns hold no numbers. It scrolls by itself where the page is narrow, by keyboard too. */
function table(headings: readonly string[], rows: readonly string[], label: string, words: number): string {
  const head = headings
    .map((each, index) => `<th scope="col"${index < words ? '' : ' class="number"'}>${escapeHtml(each)}</th>`)
    .join('');
  return `<div class="scroll" role="region" tabindex="0" aria-label="${escapeHtml(label)}"><table><thead><tr>${head}</tr></thead><tbody>${rows.join('\n')}</tbody></table></div>`;
}

const STYLE = `
:root { --ink: #1c2024; --dim: #545b64; --line: #d9dde2; --panel: #f6f7f9; --page: #ffffff; --link: #0b5a94; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7eb; --dim: #a5adb8; --line: #363c45; --panel: #1b1f25; --page: #121418; --link: #7cc0f4; } }
body { color: var(--ink); background: var(--page); max-width: 76rem; padding: 0 clamp(.75rem, 3vw, 2rem); overflow-wrap: break-word; }
h1 { font-size: clamp(1.5rem, 4vw, 2.1rem); line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.35rem; margin: 3rem 0 .75rem; padding-top: 1rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.75rem 0 .5rem; }
a { color: var(--link); }
.lead { font-size: 1.08rem; color: var(--dim); max-width: 46rem; margin-top: 0; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: .75rem; margin: 1.25rem 0; }
.facts div { background: var(--panel); border-radius: .5rem; padding: .6rem .85rem; }
dt { color: var(--dim); font-size: .85rem; } dd { margin: 0; }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; padding: 0; margin: 0; }
.scroll { overflow-x: auto; margin: .75rem 0; }
table { font-size: .9rem; min-width: 100%; }
th, td { border-bottom: 1px solid var(--line); padding: .35rem .7rem; vertical-align: top; }
thead th { color: var(--dim); font-weight: 500; font-size: .82rem; vertical-align: bottom; text-align: left; }
tbody th { font-weight: 500; min-width: 9rem; }
td.number { white-space: nowrap; } thead th.number { text-align: right; }
tr.ours td { font-weight: 600; }
.absent { color: var(--dim); font-weight: 400 !important; }
.charts { display: flex; flex-wrap: wrap; align-items: end; gap: 1rem 1.5rem; }
.charts figure { margin: 0; max-width: 100%; }
.charts figcaption { font-size: .9rem; font-weight: 600; max-width: 22rem; margin-bottom: .35rem; }
.charts svg { display: block; color: var(--ink); }
.caption, .notes { color: var(--dim); font-size: .88rem; max-width: 60rem; }
.notes b { color: var(--ink); font-weight: 600; }
.columns { font-size: .92rem; } .columns div { display: grid; grid-template-columns: minmax(8rem, 12rem) 1fr; gap: .25rem 1rem; padding: .25rem 0; border-bottom: 1px solid var(--line); }
summary { cursor: pointer; color: var(--link); }
@media (max-width: 32rem) { .columns div { grid-template-columns: 1fr; } }
@media print { details > * { display: block; } }
`;
