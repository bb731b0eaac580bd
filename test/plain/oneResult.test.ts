import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { plainForm } from '../../src/plain/plainForm.js';
import { type ModelProto, ValueInfoProtoSchema } from '../../src/onnx/onnx_pb.js';
import { intTensor, protoOfTensor } from '../../src/onnx/tensor.js';
import {
  changed,
  CLASSES,
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
const info = (name: string, elemType: number) =>
  create(ValueInfoProtoSchema, { name, type: { tensorType: { elemType } } });
const outputs = ({ graph }: ModelProto) => graph?.output.map(({ name }) => name);

/** The sound model with a second head on the same features. */
const twoHeads = () =>
  changed(soundModel(), (graph) => {
    const head = named(graph, 'fc');
    graph.node.push({ ...node('Gemm', [head.input[0] ?? '', 'fc.weight', 'fc.bias'], ['aux']), name: 'aux_fc' });
    const [logits] = graph.output;
    if (logits) graph.output.push({ ...logits, name: 'aux' });
  });

describe('of a model with several outputs', () => {
  it('refuses to guess between two heads, and lists outputs with their shapes and the setting', () => {
    expect(() => plainForm(twoHeads(), 'odd.onnx')).toThrow(
      `odd.onnx has several results, and ort-tl cannot tell which are the classes; name it (output): "logits" float32 [N, ${CLASSES}], "aux" float32 [N, ${CLASSES}]`,
    );
    expect(() => plainForm(twoHeads(), 'odd.onnx', 'logit')).toThrow(/no output "logit"/);
  });

  it('trains and exports the one that is named', async () => {
    const odd = twoHeads();
    const { proto, notes } = plainForm(odd, 'odd.onnx', 'aux');
    expect(outputs(proto)).toEqual(['aux']);
    expect(notes.join()).toMatch(/"aux" is trained and exported, and "logits" is left out/);
    expect(await run(proto, { image })).toEqual(await run(odd, { image }, 'aux'));
    expect(await differenceOfParts(odd, 'F1C1', 8, { output: 'aux' })).toBeLessThan(1e-5);
  });

  it.each([
    ['ArgMax', (scores: string) => [node('ArgMax', [scores], ['label'], [int('axis', 1)])]],
    ['TopK', (scores: string) => [node('TopK', [scores, 'k'], ['best', 'label'])]],
    [
      'ArgMax and Cast',
      (scores: string) => [
        node('ArgMax', [scores], ['a'], [int('axis', 1)]),
        node('Cast', ['a'], ['label'], [int('to', 6)]),
      ],
    ],
  ])('looks through %s behind probabilities, with the scores among the outputs or not', async (_, behind) => {
    for (const gives of [true, false]) {
      const odd = changed(soundModel(), (graph) => {
        graph.initializer.push(protoOfTensor('k', intTensor([1], [2])));
        graph.node.push(node('Softmax', ['logits'], ['shares'], [int('axis', 1)]), ...behind('shares'));
        graph.output = [...(gives ? [info('shares', 1)] : []), info('label', 7)];
      });
      const { proto } = plainForm(odd, 'odd.onnx');
      expect(outputs(proto)).toEqual(['shares']);
      const shares = await run(
        changed(odd, (graph) => (graph.output = [info('shares', 1)])),
        { image },
      );
      expect(await run(proto, { image })).toEqual(shares);
      expect(await differenceOfParts(odd, 'F1C1', 8)).toBeLessThan(1e-5);
    }
  });

  it('looks through the names of classes that ZipMap and LabelEncoder make', async () => {
    const odd = oddFile('h17_customvision_zipmap.onnx');
    const { proto, notes } = plainForm(odd, 'odd.onnx');
    expect(outputs(proto)).toEqual(['p']);
    expect(notes.join()).toMatch(/"classLabel", "loss" are left out/);
    expect(await differenceOfParts(odd, 'F1C1', 32)).toBeLessThan(1e-5);
  });

  it('keeps features that the scores are computed from', () => {
    const odd = changed(soundModel(), (graph) => graph.output.push(info(named(graph, 'fc').input[0] ?? '', 1)));
    expect(plainForm(odd, 'odd.onnx').proto).toBe(odd);
  });
});

it('takes scores as they are where the output is an intermediate of another', async () => {
  const odd = changed(soundModel(), (graph) => {
    graph.node.push(node('Softmax', ['logits'], ['shares'], [int('axis', 1)]));
    graph.output.push(info('shares', 1));
  });
  const { proto } = plainForm(odd, 'odd.onnx');
  expect(proto).toBe(odd);
  expect(largestDifference(await run(proto, { image }, 'shares'), await run(odd, { image }, 'shares'))).toBe(0);
});
