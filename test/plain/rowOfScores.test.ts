import { expect, it } from 'vitest';
import { protoOfValue } from '../../src/graph/proto.js';
import { Value } from '../../src/graph/graph.js';
import { intTensor, protoOfTensor } from '../../src/onnx/tensor.js';
import { plainForm } from '../../src/plain/plainForm.js';
import {
  changed,
  CLASSES,
  differenceOfParts,
  images,
  largestDifference,
  named,
  node,
  run,
  soundModel,
} from './oddModels.js';

const image = images([2, 3, 8, 8]);

it.each([
  [
    [2, 3],
    [{ batch: 1 }, CLASSES, 1, 1],
  ],
  [
    [1, 2],
    [{ batch: 1 }, 1, 1, CLASSES],
  ],
])('makes a row of a map of one place, with axes %j put in', async (axes, shape) => {
  const sound = soundModel();
  const odd = changed(sound, (graph) => {
    graph.initializer.push(protoOfTensor('axes', intTensor([2], axes)));
    named(graph, 'fc').output = ['row'];
    graph.node.push(node('Unsqueeze', ['row', 'axes'], ['logits']));
    graph.output = [protoOfValue(new Value('logits', 'float32', shape), 'logits')];
  });
  const { proto, notes } = plainForm(odd, 'odd.onnx');
  expect(notes.join()).toContain('the scores "logits", a map of one place, become a row');
  expect(largestDifference(await run(proto, { image }), await run(sound, { image }))).toBeLessThan(1e-6);
  for (const policy of ['F1C0', 'full']) expect(await differenceOfParts(odd, policy, 8)).toBeLessThan(1e-5);
});

it('leaves a map of more places, which is no row of scores', () => {
  const odd = changed(soundModel(), (graph) => {
    graph.output = [protoOfValue(new Value('logits', 'float32', [{ batch: 1 }, CLASSES, 2, 1]), 'logits')];
  });
  expect(plainForm(odd, 'odd.onnx').proto).toBe(odd);
});
