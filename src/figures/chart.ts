import type { TopLevelSpec } from 'vega-lite';
import { type Markup, markup, trusted } from '../markup.js';
import { visibleLines } from '../text.js';

/** What a chart shows: a Vega-Lite specification without the parts that all charts share. */
export type ChartSpec = TopLevelSpec;

/** Okabe and Ito's colours (2008), told apart without colour vision too; the first is for the first series. */
export const PALETTE = ['#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9', '#8C6D31'];

// Text and lines take the page's colour, so that a chart fits a light and a dark one.
const ink = 'currentColor';
const config = {
  background: 'transparent',
  font: 'system-ui, sans-serif',
  view: { stroke: 'transparent' },
  axis: {
    labelColor: ink,
    titleColor: ink,
    domainColor: ink,
    tickColor: ink,
    gridColor: '#88888833',
    titleFontWeight: 500,
  },
  legend: { labelColor: ink, titleColor: ink },
  title: { color: ink, anchor: 'start', fontWeight: 600 },
  header: { labelColor: ink, titleColor: ink },
  text: { color: ink },
  range: { category: PALETTE },
} as const;

/** A file on its own has no page that gives it a colour. */
const OWN_COLOUR = '<style>:root{color:#222}@media (prefers-color-scheme:dark){:root{color:#ddd}}</style>';

/** Draws a chart as SVG; `standalone` for a file of its own, which follows the reader's light or dark scheme. */
export async function drawChart(spec: ChartSpec, { standalone = true } = {}): Promise<string> {
  // Both take longer to load than all of a command's help.
  const [vega, { compile }] = await Promise.all([import('vega'), import('vega-lite')]);
  const compiled = compile({ ...spec, config });
  // Names of classes and runs are in it; in XML, most controls would be errors.
  const svg = visibleLines(
    await new vega.View(vega.parse(compiled.spec), { renderer: 'none', logLevel: vega.Error }).toSVG(),
  );
  return standalone ? standaloneChart(svg) : svg;
}

/** A chart for a page as a file of its own. */
export const standaloneChart = (svg: string): string => svg.replace(/<svg [^>]*>/, (tag) => tag + OWN_COLOUR);

/** A chart for a page as one image to who hears the page, told by `label`; what it shows must be in a table too. */
export function labelledChart(svg: string, label: string): Markup {
  const bare = svg.replace(/ (?:aria-[a-z]+|role)="[^"]*"/g, '');
  const attributes = markup`role="img" aria-label="${label}" `;
  return trusted(bare.replace(/<svg /, (tag) => `${tag}${String(attributes)}`));
}
