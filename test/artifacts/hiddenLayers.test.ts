import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { clone, create } from '@bufbuild/protobuf';
import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { writeArtifacts } from '../../src/artifacts/artifactFiles.js';
import { compile } from '../../src/artifacts/compile.js';
import type { CompileOptions } from '../../src/artifacts/compileOptions.js';
import { loadArtifacts } from '../../src/artifacts/load.js';
import { tunedModel } from '../../src/artifacts/tunedModel.js';
import { Node, Value } from '../../src/graph/graph.js';
import { protoOfNode } from '../../src/graph/proto.js';
import { encodeModel, type ModelFile, readModel } from '../../src/onnx/model.js';
import { ModelProtoSchema, OperatorSetIdProtoSchema, ValueInfoProtoSchema } from '../../src/onnx/onnx_pb.js';
import { floats, floatTensor, protoOfTensor, tensorOfProto } from '../../src/onnx/tensor.js';
import { Stepper } from '../../src/runtime/stepper.js';
import { SMALL_CNN } from '../models.js';
import { storePhotos } from '../storePhotos.js';

const SIDE = 32;
const classes = ['a', 'b', 'c'];
const options = (policy: string, more: Partial<CompileOptions> = {}): CompileOptions => ({
  policy,
  classes,
  batch: 3,
  hidden: [24, 16],
  preprocessing: ([height, width]) => ({ height, width, resize: 'crop', mean: [0, 0, 0], std: [1, 1, 1] }),
  ...more,
});

const small = readModel(SMALL_CNN);
const changed = (change: (model: ModelFile['proto']) => void): ModelFile => {
  const proto = clone(ModelProtoSchema, small.proto);
  change(proto);
  return { ...small, proto };
};

/** The small CNN whose head is a MatMul and an Add, as tf2onnx writes it. */
const matmulHead = changed(({ graph }) => {
  const index = graph?.node.findIndex(({ name }) => name === 'fc2') ?? -1;
  const [head, weight] = [graph?.node[index], graph?.initializer.find(({ name }) => name === 'fc2.weight')];
  if (!graph || !head || !weight) throw new Error('the small CNN has another head');
  const { dims, data } = tensorOfProto(weight);
  const [outputs = 0, inputs = 0] = dims;
  const transposed = Array.from({ length: data.length }, (_, at) =>
    Number(data[(at % outputs) * inputs + Math.floor(at / outputs)]),
  );
  graph.initializer = [
    ...graph.initializer.filter((each) => each !== weight),
    protoOfTensor('fc2.weight', floatTensor([inputs, outputs], transposed)),
  ];
  const product = new Value('fc2/product');
  graph.node.splice(
    index,
    1,
    protoOfNode(
      new Node({
        op: 'MatMul',
        name: 'fc2',
        inputs: [new Value(head.input[0] ?? ''), new Value('fc2.weight')],
        outputs: [product],
      }),
    ),
    protoOfNode(
      new Node({
        op: 'Add',
        name: 'fc2/add',
        inputs: [product, new Value('fc2.bias')],
        outputs: [new Value(head.output[0] ?? '')],
      }),
    ),
  );
});

/** The small CNN as old exporters wrote it: operator set 9, format version 3, where every initializer is an input too. */
const oldFormat = changed((model) => {
  const { graph } = model;
  if (!graph) throw new Error('no graph');
  model.irVersion = 3n;
  model.opsetImport = [create(OperatorSetIdProtoSchema, { domain: '', version: 9n })];
  graph.input.push(
    ...graph.initializer.map(({ name, dataType, dims }) =>
      create(ValueInfoProtoSchema, {
        name,
        type: {
          tensorType: {
            elemType: dataType,
            shape: { dim: dims.map((value) => ({ value: { case: 'dimValue' as const, value } })) },
          },
        },
      }),
    ),
  );
});

const pixels = Uint8Array.from({ length: 3 * SIDE * SIDE * 3 }, (_, index) => (index * 7919) % 251);

async function trained(model: ModelFile, compileOptions: CompileOptions) {
  const folder = mkdtempSync(join(tmpdir(), 'ort-tl-'));
  const manifest = await writeArtifacts(compile(model, compileOptions), folder);
  const stepper = await Stepper.create(loadArtifacts(folder), { slots: 3, threads: 1 });
  await storePhotos(stepper, folder, { slots: Int32Array.of(0, 1, 2), labels: [0, 1, 2], pixels });
  const slots = Int32Array.from([0, 1, 2]);
  const { losses } = await stepper.steps({
    slots: Int32Array.from({ length: 36 }, (_, index) => index % 3),
    learningRates: new Float32Array(12).fill(1e-3),
    firstStep: 1,
  });
  const { logits } = await stepper.evaluate(slots);
  const state = await stepper.getState();
  await stepper.close();
  return { manifest, losses, logits, state };
}

async function run(proto: ModelFile['proto']): Promise<Float32Array> {
  const session = await ort.InferenceSession.create(encodeModel(proto), { intraOpNumThreads: 1 });
  const input = new Float32Array(pixels.length);
  pixels.forEach((value, index) => {
    const [image, place, channel] = [Math.floor(index / 3072), Math.floor((index % 3072) / 3), index % 3];
    input[image * 3072 + channel * 1024 + place] = value / 255;
  });
  const results = await session.run({ input: new ort.Tensor('float32', input, [3, 3, SIDE, SIDE]) });
  await session.release();
  return results['logits']?.data as Float32Array;
}

describe('a head with hidden layers', () => {
  it('trains whatever the policy, and counts as one FC layer', () => {
    const names = (policy: string) => compile(small, options(policy)).manifest.parameters.map(({ name }) => name);
    const head = ['hidden_1.weight', 'hidden_1.bias', 'hidden_2.weight', 'hidden_2.bias', 'fc2.weight', 'fc2.bias'];
    expect(names('F1C0')).toEqual(head);
    expect(names('F2C0')).toEqual(['fc1.weight', 'fc1.bias', ...head]);
    expect(names('bias').slice(-6)).toEqual(head);
    expect(names('layers:conv4')).toEqual(['conv4.weight', 'conv4.bias', ...head]);
  });

  it('has the sizes that were asked for, and weights of their seed', () => {
    const { state } = compile(small, options('F1C0'));
    expect(state.get('hidden_1.weight')?.dims).toEqual([24, 148]);
    expect(state.get('hidden_2.weight')?.dims).toEqual([16, 24]);
    expect(state.get('fc2.weight')?.dims).toEqual([3, 16]);
    const first = (seed: number) => compile(small, options('F1C0', { seed })).state.get('hidden_1.weight');
    expect(first(1)).toEqual(first(1));
    expect(first(1)).not.toEqual(first(2));
    // Uniform in ±√(6 / 148) has the variance 2 / 148.
    const weights = [...floats(first(0) ?? floatTensor([0], []))];
    const variance = weights.reduce((sum, weight) => sum + weight * weight, 0) / weights.length;
    expect(variance * 148).toBeCloseTo(2, 1);
    expect(Math.max(...weights)).toBeLessThanOrEqual(Math.sqrt(6 / 148));
  });

  it.each([
    ['Gemm', small],
    ['MatMul and Add', matmulHead],
    ['Gemm in operator set 9', oldFormat],
  ])('is written into the source model, which then agrees with the evaluation: %s', async (_, model) => {
    const { manifest, losses, logits, state } = await trained(model, options('F1C1'));
    expect(losses.at(-1)).toBeLessThan((losses[0] ?? 0) * 0.9);
    const exported = tunedModel(model.proto, manifest, state);
    expect(exported.opsetImport).toEqual(model.proto.opsetImport);
    const got = await run(exported);
    logits.forEach((value, index) => expect(got[index]).toBeCloseTo(value, 4));
  });

  it('takes names that the model does not use yet', () => {
    const taken = changed((model) => {
      for (const node of model.graph?.node ?? []) if (node.name === 'conv1') node.name = 'hidden_1';
    });
    expect(compile(taken, options('F1C0')).manifest.hidden.map(({ name }) => name)).toEqual([
      'new_hidden_1',
      'new_hidden_2',
    ]);
  });

  it('is none by default', () => {
    expect(compile(small, options('F1C0', { hidden: [] })).manifest.hidden).toEqual([]);
  });
});

describe('an exported model of format version 3', () => {
  it('declares the shape of its new head', async () => {
    const { manifest, logits, state } = await trained(oldFormat, options('F1C0', { hidden: [] }));
    const got = await run(tunedModel(oldFormat.proto, manifest, state));
    logits.forEach((value, index) => expect(got[index]).toBeCloseTo(value, 4));
  });
});
