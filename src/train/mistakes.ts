import { htmlPage } from '../figures/page.js';
import { inLines, type Markup, markup } from '../markup.js';

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
  const shown = mistakes.length < total ? `, of which the ${mistakes.length} with the largest loss are shown` : '';
  return htmlPage(
    'Mistakes',
    markup`<p>${total} of ${photos} validation photos got a wrong class${shown}.</p>\n${inLines(mistakes.map(figureOf))}`,
  );
}

function figureOf({ path, actual, given, probability, actualProbability, thumbnail }: Mistake): Markup {
  const picture = thumbnail
    ? markup`<img src="data:image/jpeg;base64,${Buffer.from(thumbnail).toString('base64')}" alt="${actual}">`
    : '';
  return markup`<figure>
${picture}
<figcaption><b>${given}</b> ${percent(probability)}; it is <b>${actual}</b> (${percent(actualProbability)})<br>${path}</figcaption>
</figure>`;
}

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
