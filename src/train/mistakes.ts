import { escapeHtml, htmlPage } from '../figures/page.js';

/** A photo that got a wrong class. */
export interface Mistake {
  readonly path: string;
  readonly actual: string;
  readonly given: string;
  /** The probability of the class that was given, 0 to 1. */
  readonly probability: number;
  /** The probability of the photo's own class, 0 to 1. */
  readonly actualProbability: number;
  /** A small JPEG of it; undefined where the photo is gone. */
  readonly thumbnail: Uint8Array | undefined;
}

/** A page of mistakes with their pictures, in the order given. */
export function mistakesPage(mistakes: readonly Mistake[], total: number, photos: number): string {
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  const figures = mistakes.map(
    ({ path, actual, given, probability, actualProbability, thumbnail }) => `<figure>
${thumbnail ? `<img src="data:image/jpeg;base64,${Buffer.from(thumbnail).toString('base64')}" alt="${escapeHtml(actual)}">` : ''}
<figcaption><b>${escapeHtml(given)}</b> ${percent(probability)}; it is <b>${escapeHtml(actual)}</b> (${percent(actualProbability)})<br>${escapeHtml(path)}</figcaption>
</figure>`,
  );
  const shown = mistakes.length < total ? `, of which the ${mistakes.length} with the largest loss are shown` : '';
  return htmlPage(
    'Mistakes',
    `<p>${total} of ${photos} validation photos got a wrong class${shown}.</p>\n${figures.join('\n')}`,
  );
}
