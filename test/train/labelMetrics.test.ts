import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { averagePrecision } from '../../src/train/averagePrecision.js';
import { labelMetricsOf, labelsOver } from '../../src/train/labelMetrics.js';
import { LabelRanking, mapInterval } from '../../src/train/mapInterval.js';

/** Made by test/fixtures/labels/make_labels.py. */
const { metrics: cases } = z
  .object({
    metrics: z.array(
      z.object({
        labels: z.number(),
        logits: z.array(z.number()),
        targets: z.array(z.number()),
        loss: z.number(),
        averagePrecision: z.array(z.number().nullable()),
        map: z.number(),
        bestF1: z.array(z.number().nullable()),
        macroF1: z.number(),
        microF1: z.number(),
        usual: z.object({ macroF1: z.number(), microF1: z.number() }),
      }),
    ),
  })
  .parse(JSON.parse(readFileSync(new URL('../fixtures/labels/labels.json', import.meta.url), 'utf8')));

describe.each(cases.map((each, index) => [index, each] as const))('labels of case %i', (_, known) => {
  const { labels } = known;
  const [logits, targets] = [Float32Array.from(known.logits), Float32Array.from(known.targets)];
  const found = labelMetricsOf(logits, targets, labels);

  it("have scikit-learn's average precisions, also where scores repeat, and its loss", () => {
    found.classes.forEach(({ averagePrecision: own }, label) => {
      const theirs = known.averagePrecision[label] ?? null;
      if (theirs === null) expect(own).toBeNull();
      else expect(own).toBeCloseTo(theirs, 12);
    });
    expect(found.map).toBeCloseTo(known.map, 12);
    expect(new LabelRanking(logits, targets, labels).map()).toBeCloseTo(known.map, 12);
    expect(found.loss).toBeCloseTo(known.loss, 9);
  });

  it('have the thresholds of the best F1', () => {
    found.classes.forEach(({ f1, threshold }, label) => {
      const best = known.bestF1[label] ?? null;
      if (best === null) expect(threshold).toBe(0.5);
      else expect(f1).toBeCloseTo(best, 12);
    });
    expect([found.macroF1, found.microF1]).toEqual([
      expect.closeTo(known.macroF1, 12) as number,
      expect.closeTo(known.microF1, 12) as number,
    ]);
  });

  it('are measured by thresholds that are given', () => {
    const usual = labelMetricsOf(logits, targets, labels, new Array<number>(labels).fill(0.5));
    expect(usual.macroF1).toBeCloseTo(known.usual.macroF1, 12);
    expect(usual.microF1).toBeCloseTo(known.usual.microF1, 12);
    expect(usual.map).toBeCloseTo(known.map, 12);
  });
});

it('takes thresholds half way between two probabilities, so that rounding changes no label', () => {
  const logit = (p: number) => Math.log(p / (1 - p));
  const logits = Float32Array.from([0.9, 0.6, 0.2, 0.1].map(logit));
  const { classes } = labelMetricsOf(logits, Float32Array.of(1, 1, 0, 0), 1);
  expect(classes[0]?.threshold).toBeCloseTo(0.4, 6);
  expect(labelsOver(Float32Array.of(logit(0.41), logit(0.39)), [0.4, 0.4])).toEqual([0]);
});

it('counts photos as often as it is told', () => {
  const scores = [3, 2, 1];
  const isRight = (photo: number) => photo !== 1;
  // Precision 1 at the first, 2/3 at the last; with the second left out 1 throughout, twice there 2/4.
  expect(averagePrecision(scores, isRight)).toBeCloseTo((1 + 2 / 3) / 2, 12);
  expect(averagePrecision(scores, isRight, undefined, [1, 0, 1])).toBe(1);
  expect(averagePrecision(scores, isRight, undefined, [1, 2, 1])).toBeCloseTo((1 + 2 / 4) / 2, 12);
  expect(averagePrecision(scores, () => false)).toBeUndefined();
});

it('gives an interval of the mean average precision that holds it, the same for the same seed', () => {
  const [first] = cases;
  if (!first) throw new Error('no fixture');
  const given = [Float32Array.from(first.logits), Float32Array.from(first.targets), first.labels] as const;
  const [low, high] = mapInterval(...given, 1);
  expect(low).toBeLessThan(first.map);
  expect(high).toBeGreaterThan(first.map);
  // Of 60 photos.
  expect(high - low).toBeGreaterThan(0.05);
  expect(mapInterval(...given, 1)).toEqual([low, high]);
  expect(mapInterval(...given, 2)).not.toEqual([low, high]);
});
