import { join } from 'node:path';
import { pngOfSvg } from '../data/rasterize.js';
import { standaloneChart } from '../figures/chart.js';
import { htmlPage } from '../figures/page.js';
import { type FileContent, writeFilesAtomically } from '../files.js';
import { inLines, type Markup, markup } from '../markup.js';
import { atFirstSight, methodSection, missingSection } from './report/circumstances.js';
import { DrawnFigures } from './report/drawnFigures.js';
import { growthSection } from './report/growthSection.js';
import { headComparison } from './report/headComparison.js';
import { ReportedSuite } from './report/reportedSuite.js';
import { REPORT_STYLE } from './report/reportStyle.js';
import { rowSection } from './report/rowSection.js';
import { policyTable, runTable } from './report/suiteTables.js';
import type { SuiteResults } from './suiteResults.js';
import { summaryCsv } from './suiteTable.js';

/**
 * Writes what a suite has found so far: `summary.csv`, `report.html`, and each chart below `figures/` as SVG and PNG.
 * @throws UserError `write-failed`.
 */
export async function writeSuiteReport(results: SuiteResults, out: string): Promise<void> {
  const reported = new ReportedSuite(results);
  const figures = new DrawnFigures();
  const page = await reportPage(reported, figures);
  const files: FileContent[] = [
    { path: join(out, 'summary.csv'), parts: [summaryCsv(reported.cells, results)] },
    { path: join(out, 'report.html'), parts: [page] },
  ];
  for (const [name, svg] of figures.drawn) {
    files.push({ path: join(out, 'figures', `${name}.svg`), parts: [standaloneChart(svg)] });
    files.push({ path: join(out, 'figures', `${name}.png`), parts: [await pngOfSvg(svg)] });
  }
  await writeFilesAtomically(files);
}

interface Section {
  readonly id: string;
  readonly title: string;
  readonly body: Markup;
}

async function reportPage(reported: ReportedSuite, figures: DrawnFigures): Promise<string> {
  const { suite, results } = reported;
  const all: Section[] = [
    ...(suite.report === 'growth'
      ? [{ id: 'growth', title: 'How cost grows', body: await growthSection(reported, figures) }]
      : await policySections(reported, figures)),
    { id: 'policies', title: 'Every policy', body: policyTable(reported) },
    { id: 'runs', title: 'Every run', body: runTable(reported) },
    { id: 'missing', title: 'What is missing', body: missingSection(results) },
    { id: 'method', title: 'How it was measured', body: methodSection(results) },
  ];
  const sections = all.filter(({ body }) => String(body) !== '');
  const contents = sections.map(({ id, title }) => markup`<li><a href="#${id}">${title}</a></li>`);
  const body = [
    markup`<p class="lead">${suite.description}</p>`,
    atFirstSight(results),
    markup`<nav aria-label="Contents"><ul>${contents}</ul></nav>`,
    ...sections.map(
      ({ id, title, body: content }) => markup`<section id="${id}"><h2>${title}</h2>\n${content}</section>`,
    ),
  ];
  return htmlPage(suite.title, markup`<main>${inLines(body)}</main>`, REPORT_STYLE);
}

async function policySections(reported: ReportedSuite, figures: DrawnFigures): Promise<Section[]> {
  const isOfPaper = reported.suite.rows.some(({ paper }) => paper);
  const title = isOfPaper ? 'The paper’s Table 2, and ours' : 'The head alone, and one convolution more';
  const sections = [{ id: 'comparison', title, body: headComparison(reported) }];
  for (const row of reported.rowsDone)
    sections.push({ id: row.name, title: row.title, body: await rowSection(reported, figures, row) });
  return sections;
}
