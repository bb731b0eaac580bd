import { create } from '@bufbuild/protobuf';
import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { compile } from '../../src/artifacts/compile.js';
import { classifierOf } from '../../src/artifacts/prepare.js';
import { tunedModel } from '../../src/artifacts/tunedModel.js';
import { Builder } from '../../src/graph/builder.js';
import { int } from '../../src/graph/graph.js';
import { modelOfGraph } from '../../src/graph/proto.js';
import { encodeModel, type ModelFile } from '../../src/onnx/model.js';
import { NodeProtoSchema } from '../../src/onnx/onnx_pb.js';
import { dtypeCode, floats, floatTensor, type Tensor, tensor } from '../../src/onnx/tensor.js';

/** 1, 1.5, 2 and −0.25 by IEEE 754. */
const HALVES: readonly (readonly [number, number])[] = [
  [0x3c00, 1],
  [0x3e00, 1.5],
  [0x4000, 2],
  [0xb400, -0.25],
];
const halves = (dims: number[]) =>
  tensor(
    'float16',
    dims,
    Uint16Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, at) => HALVES[at % 4]?.[0] ?? 0),
  );

/** A convolution and an FC layer of four classes, whose weights lie behind a Cast. */
function model(change: (proto: ModelFile['proto']) => void = () => undefined): ModelFile {
  const g = new Builder(17);
  const image = g.input('image', 'float32', [{ batch: 1 }, 3, 8, 8]);
  const wide = (name: string, stored: Tensor) =>
    g.op('Cast', [g.constant(name, stored)], { to: int(dtypeCode('float32')) }, { outputName: `${name}/wide` });
  const map = g.op('Relu', [g.conv(image, wide('conv.weight', halves([2, 3, 3, 3])))]);
  const flat = g.op('Flatten', [g.op('GlobalAveragePool', [map])]);
  const bias = g.constant('fc.bias', floatTensor([4], [0, 0, 0, 0]));
  g.output('logits', g.op('Gemm', [flat, wide('fc.weight', halves([2, 4])), bias], {}, { name: 'fc' }));
  const proto = modelOfGraph(g.graph, 'net');
  change(proto);
  return { path: 'net.onnx', sha256: 'none', proto };
}

const options = (policy: string) => ({ policy, classes: ['a', 'b', 'c'], batch: 2 });
const kinds = (proto: ModelFile['proto']) =>
  Object.fromEntries(proto.graph?.initializer.map(({ name, dataType }) => [name, dataType]) ?? []);

describe('a model that stores its weights as float16', () => {
  it("trains them in float32, by the initializers' names", () => {
    const { layers } = classifierOf(model());
    const [conv] = layers.convs;
    expect(conv?.parameters.map(({ name }) => name)).toEqual(['conv.weight']);
    const weight = conv?.parameters[0]?.constant;
    expect([...(weight ? floats(weight).slice(0, 4) : [])]).toEqual(HALVES.map(([, number]) => number));
    const { manifest } = compile(model(), options('F1C1'));
    expect(manifest.parameters.map(({ name }) => name).sort()).toEqual(['conv.weight', 'fc.bias', 'fc.weight']);
  });

  it('becomes a model whose trained weights are float32, and whose frozen ones are stored as they were', async () => {
    const source = model();
    const { manifest, state } = compile(source, options('F1C0'));
    const tuned = tunedModel(source.proto, manifest, state);
    expect(kinds(tuned)).toMatchObject({ 'conv.weight': 10, 'fc.weight': 1, 'fc.bias': 1 });
    expect(tuned.graph?.node.filter(({ opType }) => opType === 'Cast')).toHaveLength(1);
    const session = await ort.InferenceSession.create(encodeModel(tuned), { intraOpNumThreads: 1 });
    const { logits } = await session.run({ image: new ort.Tensor('float32', new Float32Array(192), [1, 3, 8, 8]) });
    expect(logits?.dims).toEqual([1, 3]);
    // It trains on as any model.
    const again = compile({ ...source, proto: tuned }, options('F1C1'));
    expect(again.manifest.parameters.map(({ name }) => name)).toContain('conv.weight');
  });

  it('finds the head behind a Cast for hidden layers', async () => {
    const source = model();
    const { manifest, state } = compile(source, { ...options('F1C0'), hidden: [5] });
    const session = await ort.InferenceSession.create(encodeModel(tunedModel(source.proto, manifest, state)));
    const { logits } = await session.run({ image: new ort.Tensor('float32', new Float32Array(192), [1, 3, 8, 8]) });
    expect(logits?.dims).toEqual([1, 3]);
  });

  it('trains apart from another reader of the stored number', async () => {
    const source = model(({ graph }) => {
      graph?.node.push(create(NodeProtoSchema, { opType: 'Shape', input: ['fc.weight'], output: ['size'] }));
    });
    const { manifest, state } = compile(source, options('F1C0'));
    const tuned = tunedModel(source.proto, manifest, state);
    expect(manifest.parameters.map(({ name }) => name)).toContain('fc.weight/wide');
    expect(kinds(tuned)).toMatchObject({ 'fc.weight': 10, 'fc.weight/wide': 1 });
    await (await ort.InferenceSession.create(encodeModel(tuned), { intraOpNumThreads: 1 })).release();
  });
});
