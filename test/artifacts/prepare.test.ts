import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { classifierOf, refuseSigmoid } from '../../src/artifacts/prepare.js';
import { Builder } from '../../src/graph/builder.js';
import { float, type Value } from '../../src/graph/graph.js';
import { modelOfGraph } from '../../src/graph/proto.js';
import { AttributeProtoSchema, NodeProtoSchema } from '../../src/onnx/onnx_pb.js';
import { floatTensor } from '../../src/onnx/tensor.js';

/** A convolution, a global pooling, an FC layer of four classes, and what `end` makes of its result. */
function modelWith(end: (g: Builder, scores: Value) => Value) {
  const g = new Builder(18);
  const image = g.input('image', 'float32', [{ batch: 1 }, 3, 8, 8]);
  const map = g.conv(image, g.constant('conv.weight', floatTensor([2, 3, 3, 3], new Float32Array(54).fill(0.1))));
  const flat = g.op('Flatten', [g.op('GlobalAveragePool', [map])]);
  const scores = g.gemm(flat, g.constant('fc.weight', floatTensor([2, 4], new Float32Array(8).fill(0.1))));
  g.output('result', end(g, scores));
  return { path: 'net.onnx', sha256: '', proto: modelOfGraph(g.graph, 'net') };
}

describe('classifierOf', () => {
  it.each<[string, (g: Builder, scores: Value) => Value]>([
    ['at the end', (g, scores) => g.softmax(scores, 1)],
    ['before a Reshape', (g, scores) => g.reshape(g.reshape(g.softmax(scores, 1), [-1, 1, 4]), [-1, 4])],
    ['before a Flatten', (g, scores) => g.op('Flatten', [g.logSoftmax(scores, 1)])],
  ])('takes the logits from before a Softmax %s', (_, end) => {
    const { graph, logits } = classifierOf(modelWith(end));
    expect(graph.nodes.filter(({ op }) => op.includes('Softmax'))).toEqual([]);
    expect(logits.shape).toEqual([{ batch: 1 }, 4]);
  });

  it('looks through a Sigmoid at the end of a model of labels, and refuses it for classes by the name of that node', () => {
    const model = modelWith((g, scores) => g.op('Flatten', [g.op('Sigmoid', [scores], {}, { name: 'yes_or_no' })]));
    const classifier = classifierOf(model);
    expect(classifier.graph.nodes.filter(({ op }) => op === 'Sigmoid')).toEqual([]);
    expect(() => refuseSigmoid(classifier, 'classes')).toThrow(
      /node "yes_or_no" \(Sigmoid\) ends the model.*task labels/,
    );
    expect(() => refuseSigmoid(classifier, 'labels')).not.toThrow();
  });

  it('leaves an activation before the end as it is', () => {
    const { graph } = classifierOf(modelWith((g, scores) => g.op('LeakyRelu', [scores], { alpha: float(0.1) })));
    expect(graph.nodes.at(-1)?.op).toBe('LeakyRelu');
  });

  it('says that a size is wrong where the file leaves it open, and not that the file is damaged', () => {
    const g = new Builder(18);
    const image = g.input('image', 'float32', [{ batch: 1 }, 3, 8, 8]);
    const flat = g.op('Reshape', [g.op('GlobalMaxPool', [image]), g.vector([-1, 3])]);
    const row = g.op('Reshape', [image, g.vector([0, 192])], {}, { name: 'row' });
    const weight = (rows: number) =>
      g.constant(`weight_${rows}`, floatTensor([rows, 4], new Float32Array(4 * rows).fill(0.1)));
    g.output('result', g.add(g.gemm(flat, weight(3)), g.gemm(row, weight(192))));
    const proto = modelOfGraph(g.graph, 'net');
    for (const axis of [2, 3]) {
      const dim = proto.graph?.input[0]?.type?.tensorType?.shape?.dim[axis];
      if (dim) dim.value = { case: undefined };
    }
    const model = { path: 'net.onnx', sha256: '', proto };
    expect(() => classifierOf(model)).toThrow(
      /node "row" \(Reshape\).*, with images of 224×224 pixels, since net\.onnx leaves their size open; give the one that it was made for \(size\)/,
    );
    expect(classifierOf(model, { size: 8 }).imageSize).toEqual([8, 8]);
  });

  it('refuses a Constant of text, and names it', () => {
    const model = modelWith((_, scores) => scores);
    const text = create(AttributeProtoSchema, { name: 'value_string', type: 3, s: new TextEncoder().encode('cat') });
    model.proto.graph?.node.push(
      create(NodeProtoSchema, { name: 'label', opType: 'Constant', output: ['label'], attribute: [text] }),
    );
    expect(() => classifierOf(model)).toThrow(/node "label" \(Constant\) holds its value as `value_string`/);
  });
});
