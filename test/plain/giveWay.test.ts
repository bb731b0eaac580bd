import { expect, it } from 'vitest';
import { compile } from '../../src/artifacts/compile.js';
import { plainForm } from '../../src/plain/plainForm.js';
import { changed, differenceOfParts, fileOf, images, oddFile, run, soundModel } from './oddModels.js';

it('what a model calls as ort-tl calls its own gives way, and what goes in and comes out keeps its name', async () => {
  const odd = oddFile('h32b_reserved_names.onnx');
  const data = images([2, 3, 32, 32]);
  const { proto } = plainForm(odd, 'odd.onnx');
  expect(proto.graph?.output.map(({ name }) => name)).toEqual(['loss']);
  expect(await run(proto, { data })).toEqual(await run(odd, { data }));
  for (const policy of ['F1C0', 'F1C1', 'full']) expect(await differenceOfParts(odd, policy, 32)).toBeLessThan(1e-5);
});

it('nodes without names, and with the same, are told apart', async () => {
  for (const name of ['', 'same']) {
    const odd = changed(soundModel(), (graph) => {
      for (const each of graph.node) each.name = name;
    });
    const { manifest } = compile(fileOf(odd), { policy: 'full', classes: ['a', 'b'], batch: 2, batchNorm: 'batch' });
    expect(new Set(manifest.layers.map((layer) => layer.name)).size).toBe(3);
    expect(await differenceOfParts(odd, 'full', 8)).toBeLessThan(1e-5);
  }
});
