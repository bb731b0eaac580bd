import { describe, expect, it } from 'vitest';
import { plainForm } from '../../src/plain/plainForm.js';
import { opsetOf } from '../../src/onnx/model.js';
import {
  changed,
  differenceOfParts,
  floats,
  images,
  int,
  largestDifference,
  named,
  node,
  oddFile,
  run,
  soundModel,
} from './oddModels.js';

describe('a model of operator set 7 or 8', () => {
  it('is read in set 9', async () => {
    const odd = oddFile('h54c_opset7.onnx');
    const { proto } = plainForm(odd, 'odd.onnx');
    expect(opsetOf(proto)).toBe(9);
    expect(await differenceOfParts(odd, 'full', 32)).toBeLessThan(1e-5);
  });

  it.each([7, 8])('set %i: has the scales of Upsample as an input, and normalizes channels', async (opset) => {
    const odd = changed(soundModel(opset), (graph) => {
      named(graph, 'bn').attribute.push(...(opset === 7 ? [int('spatial', 1)] : []));
      named(graph, 'conv2').input[0] = 'larger';
      graph.node.splice(
        graph.node.indexOf(named(graph, 'conv2')),
        0,
        node(
          'Upsample',
          [graph.node.find(({ opType }) => opType === 'Relu')?.output[0] ?? ''],
          ['larger'],
          [floats('scales', [1, 1, 2, 2])],
        ),
      );
    });
    const image = images([2, 3, 8, 8]);
    const { proto, notes } = plainForm(odd, 'odd.onnx');
    expect(notes.join()).toMatch(new RegExp(`operator set ${opset}`));
    expect(largestDifference(await run(proto, { image }), await run(odd, { image }))).toBeLessThan(1e-6);
    expect(await differenceOfParts(odd, 'full', 8)).toBeLessThan(1e-5);
  });

  it('is refused where it normalizes places', () => {
    const odd = changed(soundModel(8), (graph) => named(graph, 'bn').attribute.push(int('spatial', 0)));
    expect(() => plainForm(odd, 'odd.onnx')).toThrow(/"bn" \(BatchNormalization\).*version_converter/);
  });
});
