import { describe, expect, it } from 'vitest';
import { plainForm } from '../../src/plain/plainForm.js';
import { floatTensor, protoOfTensor, tensor } from '../../src/onnx/tensor.js';
import {
  changed,
  differenceOfParts,
  images,
  int,
  largestDifference,
  named,
  node,
  oddFile,
  run,
  soundModel,
} from './oddModels.js';

const image = images([2, 3, 8, 8]);

describe('a model that was exported in training mode', () => {
  it('computes with the statistics that it has kept, by an attribute or by five outputs', async () => {
    for (const opset of [13, 17]) {
      const sound = soundModel(opset);
      const odd = changed(sound, (graph) => {
        const norm = named(graph, 'bn');
        if (opset >= 14) norm.attribute.push(int('training_mode', 1));
        norm.output = [
          norm.output[0] ?? '',
          'mean',
          'variance',
          ...(opset >= 14 ? [] : ['saved_mean', 'saved_variance']),
        ];
      });
      const { proto, warnings } = plainForm(odd, 'odd.onnx');
      expect(warnings.join()).toMatch(/"bn" \(BatchNormalization\).*training mode/);
      const right = await run(sound, { image });
      expect(largestDifference(await run(proto, { image }), right)).toBeLessThan(1e-6);
      // What the file itself computes is another function.
      expect(largestDifference(await run(odd, { image }), right)).toBeGreaterThan(0.1);
      for (const policy of ['F1C0', 'F1C1', 'full']) expect(await differenceOfParts(odd, policy, 8)).toBeLessThan(1e-5);
    }
  });

  it('gives the kept statistics where those of the batch were given, and these are no outputs any more', () => {
    const odd = changed(soundModel(), (graph) => {
      const norm = named(graph, 'bn');
      norm.attribute.push(int('training_mode', 1));
      norm.output = [norm.output[0] ?? '', 'mean', 'variance'];
      const [logits] = graph.output;
      if (logits) graph.output.push({ ...logits, name: 'mean' });
    });
    const { proto } = plainForm(odd, 'odd.onnx');
    expect(proto.graph?.output.map(({ name }) => name)).toEqual(['logits']);
  });

  it('drops nothing out', async () => {
    const sound = soundModel();
    const odd = changed(sound, (graph) => {
      const head = named(graph, 'fc');
      graph.initializer.push(
        protoOfTensor('ratio', floatTensor([], [0.5])),
        protoOfTensor('train', tensor('bool', [], Uint8Array.of(1))),
      );
      graph.node.splice(
        graph.node.indexOf(head),
        0,
        node('Dropout', [head.input[0] ?? '', 'ratio', 'train'], ['dropped']),
      );
      head.input[0] = 'dropped';
    });
    const { proto, warnings } = plainForm(odd, 'odd.onnx');
    expect(warnings.join()).toMatch(/drops out at random/);
    expect(largestDifference(await run(proto, { image }), await run(sound, { image }))).toBeLessThan(1e-6);
  });

  it('says so where no statistics were kept', () => {
    const odd = changed(soundModel(), (graph) => {
      named(graph, 'bn').attribute.push(int('training_mode', 1));
      named(graph, 'bn').output.push('mean', 'variance');
      graph.initializer = graph.initializer.map((each) =>
        each.name === 'bn.mean' || each.name === 'bn.variance'
          ? protoOfTensor(each.name, floatTensor([4], Array<number>(4).fill(each.name === 'bn.mean' ? 0 : 1)))
          : each,
      );
    });
    expect(plainForm(odd, 'odd.onnx').warnings.join()).toMatch(/has kept no statistics/);
  });

  it('standardizes weights as ONNX Runtime does', async () => {
    const odd = oddFile('h76b_nfnet_stdconv_bn.onnx');
    expect(plainForm(odd, 'odd.onnx').warnings).toEqual([]);
    expect(await differenceOfParts(odd, 'F1C1', 32)).toBeLessThan(1e-5);
  });

  it('is the model itself where there is nothing to change', () => {
    for (const opset of [9, 13, 17, 20]) {
      const sound = soundModel(opset);
      const form = plainForm(sound, 'sound.onnx');
      expect(form.proto).toBe(sound);
      expect([...form.notes, ...form.warnings]).toEqual([]);
    }
  });
});
