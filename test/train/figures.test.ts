import { describe, expect, it } from 'vitest';
import { drawConfusion, drawCurves } from '../../src/train/figures.js';
import { mistakesPage } from '../../src/train/mistakes.js';

const texts = (svg: string) => [...svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map(([, text]) => text);

describe('drawCurves', () => {
  it('draws two lines in each of two charts, told apart by dashes too', async () => {
    const results = [1, 2, 3].map((epoch) => ({
      epoch,
      learningRate: 0.1,
      trainLoss: 1 / epoch,
      trainTop1: 0.5,
      valLoss: 1.1 / epoch,
      top1: 0.4,
      top5: 0.9,
      macroF1: 0.4,
      balancedAccuracy: 0.4,
      elapsedMs: 1,
      imagesPerSecond: 1,
    }));
    const svg = await drawCurves(results);
    expect(svg.match(/<path aria-label="[^"]*photos[^"]*"[^>]*>/g)?.length).toBeGreaterThanOrEqual(4);
    expect(svg).toContain('stroke-dasharray');
    expect(texts(svg)).toEqual(expect.arrayContaining(['epoch', 'loss', 'top-1', 'training', 'validation']));
    expect(svg).toContain('prefers-color-scheme:dark');
  });
});

describe('drawConfusion', () => {
  it('writes the counts of few classes into their cells', async () => {
    const svg = await drawConfusion(
      [
        [7, 3],
        [0, 9],
      ],
      ['cat', 'dog & co'],
    );
    expect(texts(svg)).toEqual(expect.arrayContaining(['7', '3', '9', 'cat', 'dog &amp; co', 'actual', 'given']));
    expect(texts(svg)).not.toContain('0');
  });

  it('shades alone where there are many', async () => {
    const classes = Array.from({ length: 40 }, (_, index) => `class ${index}`);
    const svg = await drawConfusion(
      classes.map((_, row) => classes.map((__, column) => (row === column ? 5 : 0))),
      classes,
    );
    expect(svg.match(/aria-roledescription="rect mark"|<path aria-label="given/g)?.length).toBeGreaterThan(0);
    expect(texts(svg)).not.toContain('5');
  });
});

describe('mistakesPage', () => {
  it('holds its pictures, and text from outside as text', () => {
    const page = mistakesPage(
      [
        {
          path: 'a<b>.jpg',
          actual: 'cat',
          given: 'dog',
          probability: 0.9,
          actualProbability: 0.05,
          thumbnail: Uint8Array.of(255, 216),
        },
      ],
      3,
      10,
    );
    expect(page).toContain('a&lt;b&gt;.jpg');
    expect(page).toContain('data:image/jpeg;base64,/9g=');
    expect(page).toContain(
      '3 of 10 validation photos got a wrong class, of which the 1 with the largest loss are shown',
    );
    expect(page).not.toMatch(/(src|href)="(?!data:)/);
  });
});
