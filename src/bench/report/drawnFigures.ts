import { drawChart, labelledChart } from '../../figures/chart.js';
import { inLines, type Markup, markup } from '../../markup.js';
import type { Figure } from './figure.js';

/** The charts that a report has shown so far. */
export class DrawnFigures {
  /** As SVG, by their files' names. */
  readonly drawn = new Map<string, string>();

  /** Draws `figures` side by side under a title. Empty where there are none. */
  async show(title: string, caption: string, figures: readonly Figure[]): Promise<Markup> {
    if (figures.length === 0) return markup``;
    const shown: Markup[] = [];
    for (const { name, title: called, label, spec } of figures) {
      const svg = await drawChart(spec, { standalone: false });
      this.drawn.set(name, svg);
      shown.push(markup`<figure><figcaption>${called}</figcaption>${labelledChart(svg, label)}</figure>`);
    }
    const below = caption === '' ? '' : markup`<p class="caption">${caption}</p>`;
    return markup`<h3>${title}</h3><div class="charts">${inLines(shown)}</div>${below}`;
  }
}
