import { create } from '@bufbuild/protobuf';
import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { compile } from '../../src/artifacts/compile.js';
import { tunedModel } from '../../src/artifacts/tunedModel.js';
import { plainForm } from '../../src/plain/plainForm.js';
import { decodeModel, encodeModel } from '../../src/onnx/model.js';
import { type GraphProto, type ModelProto, TensorShapeProto_DimensionSchema } from '../../src/onnx/onnx_pb.js';
import { floatTensor, intTensor, protoOfTensor } from '../../src/onnx/tensor.js';
import { changed, CLASSES, fileOf, int, ints, named, node, run, SIDE, soundModel } from './oddModels.js';

const IMAGES = 3;
const [CHANNELS, PLACES] = [6, 16];
const dim = (value: number) =>
  create(TensorShapeProto_DimensionSchema, { value: { case: 'dimValue', value: BigInt(value) } });
const shape = (graph: GraphProto, name: string, dims: number[]) => {
  graph.initializer.push(protoOfTensor(name, intTensor([dims.length], dims)));
  return name;
};

/** What a model does with its image before the first convolution reads "batch". */
const BEGINNINGS: Record<string, { dims: number[]; add: (graph: GraphProto) => void }> = {
  'a batch of 1': { dims: [1, 3, SIDE, SIDE], add: (g) => g.node.unshift(node('Identity', ['image'], ['batch'])) },
  Unsqueeze: {
    dims: [3, SIDE, SIDE],
    add: (g) => g.node.unshift(node('Unsqueeze', ['image', shape(g, 'zero', [0])], ['batch'])),
  },
  'a normalization': {
    dims: [3, SIDE, SIDE],
    add: (g) => {
      g.initializer.push(protoOfTensor('mean', floatTensor([3, 1, 1], [0.1, 0.2, 0.3])));
      const batch = node('Unsqueeze', ['moved', shape(g, 'zero', [0])], ['batch']);
      g.node.unshift(node('Sub', ['image', 'mean'], ['moved']), batch);
    },
  },
  'colours last': {
    dims: [SIDE, SIDE, 3],
    add: (g) => {
      const batch = node('Reshape', ['planes', shape(g, 'one', [1, 3, SIDE, SIDE])], ['batch']);
      g.node.unshift(node('Transpose', ['image'], ['planes'], [ints('perm', [2, 0, 1])]), batch);
    },
  },
};

type End = (graph: GraphProto, map: string) => void;
const fc = (graph: GraphProto, features: string, scores = 'logits') =>
  graph.node.push({ ...node('Gemm', [features, 'fc.weight', 'fc.bias'], [scores]), name: 'fc' });
const mean = (graph: GraphProto, from: string, axis: number) =>
  graph.node.push(node('ReduceMean', [from], ['mean_of'], [ints('axes', [axis]), int('keepdims', 0)]));

/** What becomes of the map [1, 6, 4, 4], and whether the scores are [5] in place of [1, 5]. */
const ENDS: Record<string, { end: End; isList?: boolean }> = {
  'Reshape to [1, -1]': {
    end: (g, map) => {
      g.node.push(
        node('GlobalAveragePool', [map], ['pooled']),
        node('Reshape', ['pooled', shape(g, 'row', [1, -1])], ['rows']),
      );
      fc(g, 'rows');
    },
  },
  'Reshape to [1, C, -1]': {
    end: (g, map) => {
      g.node.push(node('Reshape', [map, shape(g, 'row', [1, CHANNELS, -1])], ['places']));
      mean(g, 'places', 2);
      fc(g, 'mean_of');
    },
  },
  'Reshape to [C, -1], without the batch': {
    end: (g, map) => {
      g.node.push(node('Reshape', [map, shape(g, 'flat', [CHANNELS, -1])], ['places']));
      mean(g, 'places', 1);
      g.node.push(node('Reshape', ['mean_of', shape(g, 'row', [1, -1])], ['rows']));
      fc(g, 'rows');
    },
  },
  'tokens that attend to each other': {
    end: (g, map) => {
      g.node.push(
        node('Reshape', [map, shape(g, 'flat', [CHANNELS, -1])], ['places']),
        node('Transpose', ['places'], ['tokens']),
        node('MatMul', ['tokens', 'places'], ['products']),
        node('Softmax', ['products'], ['shares'], [int('axis', -1)]),
        node('MatMul', ['shares', 'tokens'], ['attended']),
        node('Reshape', ['attended', shape(g, 'back', [1, PLACES, -1])], ['sequence']),
      );
      mean(g, 'sequence', 1);
      fc(g, 'mean_of');
    },
  },
  'Squeeze of the scores': {
    isList: true,
    end: (g, map) => {
      g.node.push(node('GlobalAveragePool', [map], ['pooled']), node('Flatten', ['pooled'], ['rows']));
      fc(g, 'rows', 'scores');
      g.node.push(node('Squeeze', ['scores', shape(g, 'axis', [0])], ['logits']));
    },
  },
  'Softmax over a list of scores': {
    isList: true,
    end: (g, map) => {
      g.node.push(node('GlobalAveragePool', [map], ['pooled']), node('Squeeze', ['pooled'], ['list']));
      g.node.push(node('MatMul', ['list', 'fc.weight'], ['product']), node('Add', ['product', 'fc.bias'], ['scores']));
      g.node.push(node('Softmax', ['scores'], ['logits'], [int('axis', 0)]));
    },
  },
};

function oneImage(beginning: string, ending: string): ModelProto {
  const { dims, add } = BEGINNINGS[beginning] ?? { dims: [], add: () => undefined };
  const { end, isList = false } = ENDS[ending] ?? { end: () => undefined };
  return changed(soundModel(13), (graph) => {
    named(graph, 'conv1').input[0] = 'batch';
    const [map = ''] = named(graph, 'conv2').output;
    graph.node = graph.node.slice(0, graph.node.findIndex(({ name }) => name === 'conv2') + 1);
    end(graph, map);
    add(graph);
    for (const [info, sizes] of [
      [graph.input[0], dims],
      [graph.output[0], isList ? [CLASSES] : [1, CLASSES]],
    ] as const) {
      const type = info?.type?.tensorType?.shape;
      if (type) type.dim = sizes.map(dim);
    }
  });
}

const pixels = Uint8Array.from({ length: IMAGES * SIDE * SIDE * 3 }, (_, index) => (index * 7919) % 251);

/** Image `index` as the model takes it, and the scores that it gives. */
async function scoresOf(model: ModelProto, index: number): Promise<number[]> {
  const dims =
    model.graph?.input[0]?.type?.tensorType?.shape?.dim.map(({ value }) =>
      value.case === 'dimValue' ? Number(value.value) : 1,
    ) ?? [];
  const area = SIDE * SIDE;
  const isLast = dims.at(-1) === 3;
  const numbers = Float32Array.from({ length: 3 * area }, (_, at) => {
    const [channel, place] = isLast ? [at % 3, Math.floor(at / 3)] : [Math.floor(at / area), at % area];
    return (pixels[(index * area + place) * 3 + channel] ?? 0) / 255;
  });
  return run(model, { image: new ort.Tensor('float32', numbers, dims) });
}

const shares = (scores: readonly number[]) => {
  const powers = scores.map(Math.exp);
  return powers.map((power) => power / powers.reduce((sum, each) => sum + each, 0));
};

/** What the compiled parts compute of three images at once, with the fresh head; and the exported model and the source, which have it too. */
async function compared(source: ModelProto, policy: string) {
  const classes = ['a', 'b', 'c', 'd', 'e'];
  const compiled = compile(fileOf(source), { policy, classes, batch: IMAGES, preprocessing: 'mean=0,std=1' });
  const { manifest, frozen, evaluation, state } = compiled;
  const values = new Map<string, ort.Tensor>([['pixels', new ort.Tensor('uint8', pixels, [IMAGES, SIDE, SIDE, 3])]]);
  for (const [name, { data, dims }] of state) values.set(name, new ort.Tensor('float32', data as Float32Array, dims));
  for (const part of [frozen, evaluation]) {
    if (!part) continue;
    const session = await ort.InferenceSession.create(encodeModel(part), { logSeverityLevel: 3, intraOpNumThreads: 1 });
    const feeds = Object.fromEntries(session.inputNames.map((name) => [name, values.get(name) as ort.Tensor]));
    for (const [name, value] of Object.entries(await session.run(feeds))) values.set(name, value);
    await session.release();
  }
  const withHead = changed(source, (graph) => {
    graph.initializer = graph.initializer.map((each) => {
      const tensor = state.get(each.name);
      return tensor ? protoOfTensor(each.name, tensor) : each;
    });
  });
  const tuned = decodeModel(encodeModel(tunedModel(source, manifest, state)), 'tuned.onnx');
  return { logits: Array.from(values.get('logits')?.data as Float32Array), withHead, tuned };
}

describe.each(Object.keys(BEGINNINGS))('a model of one image, with %s,', (beginning) => {
  it.each(Object.keys(ENDS))('computes of several what it computes of each: %s', async (ending) => {
    const source = oneImage(beginning, ending);
    for (const policy of ['F1C1', 'full']) {
      const { logits, withHead, tuned } = await compared(source, policy);
      for (let index = 0; index < IMAGES; index++) {
        const row = logits.slice(index * CLASSES, (index + 1) * CLASSES);
        const expected = await scoresOf(withHead, index);
        const exported = await scoresOf(tuned, index);
        (ending.startsWith('Softmax') ? shares(row) : row).forEach((value, at) => {
          expect(value).toBeCloseTo(expected[at] ?? NaN, 5);
          expect(exported[at]).toBeCloseTo(expected[at] ?? NaN, 5);
        });
      }
    }
  });
});

describe('the batch that a model without one is given', () => {
  const statedFor = (model: ModelProto) => {
    const { proto, notes } = plainForm(model, 'odd.onnx');
    const [batch] = proto.graph?.input[0]?.type?.tensorType?.shape?.dim ?? [];
    return [batch?.value.value, notes.at(-1)];
  };

  it('is of any size where the model is right for any', () => {
    const model = changed(oneImage('Unsqueeze', 'Reshape to [1, -1]'), (graph) => {
      const reshape = graph.node.find(({ output }) => output.includes('rows'));
      if (reshape) Object.assign(reshape, node('Flatten', ['pooled'], ['rows']));
    });
    expect(statedFor(model)).toEqual(['N', expect.stringMatching(/without a batch; it is given one$/)]);
  });

  it.each(Object.keys(ENDS).filter((ending) => ending !== 'Squeeze of the scores'))(
    'is of one where it is not: %s',
    (ending) => {
      expect(statedFor(oneImage('Unsqueeze', ending))).toEqual([1n, expect.stringMatching(/given one, of one image$/)]);
    },
  );
});
