import { describe, expect, it } from 'vitest';
import { predictionsCsv } from '../../src/train/predictions.js';

describe('predictions.csv', () => {
  it('tells of each photo what was given, and how surely', () => {
    const photos = [
      { path: 'photos/cat/1.jpg', label: 0 },
      { path: '=cmd/2.jpg', label: 1 },
    ];
    // e^ln 3 = 3, so that the shares are 3/4 and 1/4.
    const logits = Float32Array.of(Math.log(3), 0, Math.log(3), 0);
    expect(predictionsCsv(photos, logits, ['cat', 'dog, small'])).toBe(
      [
        'path,class,predicted,probability,class_probability',
        'photos/cat/1.jpg,cat,cat,0.750000,0.750000',
        './=cmd/2.jpg,"dog, small",cat,0.750000,0.250000',
        '',
      ].join('\n'),
    );
  });

  it('tells all labels of a photo of several, and those that reach their thresholds', () => {
    const photos = [
      { path: 'a.jpg', label: -1, labels: [0, 2] },
      { path: 'b.jpg', label: -1, labels: [] },
    ];
    const logits = Float32Array.of(Math.log(3), 0, -9, -9, -9, -9);
    expect(predictionsCsv(photos, logits, ['sky', 'sea', 'boat'], [0.7, 0.5, 0.5])).toBe(
      ['path,labels,predicted,probabilities', 'a.jpg,sky|boat,sky|sea,0.750000|0.500000', 'b.jpg,,,', ''].join('\n'),
    );
  });
});
