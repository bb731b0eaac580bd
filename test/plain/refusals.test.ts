import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { plainForm } from '../../src/plain/plainForm.js';
import { refuseLarge } from '../../src/onnx/refuseLarge.js';
import { TrainingInfoProtoSchema } from '../../src/onnx/onnx_pb.js';
import { changed, named, node, oddFile, soundModel } from './oddModels.js';

describe('a file that is no model as an exporter writes it is refused by what it is', () => {
  it.each(['h27_ort_optimized_all.onnx', 'h27_ort_optimized_ext.onnx'])('%s: optimized by ONNX Runtime', (name) => {
    expect(() => plainForm(oddFile(name), name)).toThrow(
      /is a file that ONNX Runtime has optimized.*take the one that it was made from/,
    );
  });

  it('a graph that trains', () => {
    const losing = changed(soundModel(), (graph) =>
      graph.node.push(node('SoftmaxCrossEntropyLoss', ['logits', 'image'], ['l'])),
    );
    expect(() => plainForm(losing, 'odd.onnx')).toThrow(
      /is a graph that trains, as node ".*" \(SoftmaxCrossEntropyLoss\) shows/,
    );
    const informed = changed(soundModel(), (_, model) => model.trainingInfo.push(create(TrainingInfoProtoSchema)));
    expect(() => plainForm(informed, 'odd.onnx')).toThrow(/is a graph that trains; export/);
  });

  it('one whose result is drawn at random', () => {
    const odd = changed(soundModel(), (graph) => {
      const head = named(graph, 'fc');
      graph.node.splice(
        graph.node.indexOf(head),
        0,
        node('RandomNormalLike', [head.input[0] ?? ''], ['noise']),
        node('Add', [head.input[0] ?? '', 'noise'], ['noisy']),
      );
      head.input[0] = 'noisy';
    });
    expect(() => plainForm(odd, 'odd.onnx')).toThrow(/\(RandomNormalLike\) of odd.onnx draws random numbers/);
  });

  it('one that is too large to be written again', () => {
    // The sound model has 4·27 + 4·5 + 6·37 + 5·7 numbers.
    expect(() => refuseLarge(soundModel(), 'odd.onnx', 4 * (108 + 20 + 222 + 35))).not.toThrow();
    expect(() => refuseLarge(soundModel(), 'odd.onnx', 4 * (108 + 20 + 222 + 35) - 1)).toThrow(
      /^the weights of odd.onnx take 0.0 GiB/,
    );
  });
});
