import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { plainForm } from '../../src/plain/plainForm.js';
import {
  type GraphProto,
  type ModelProto,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from '../../src/onnx/onnx_pb.js';
import { floatTensor, intTensor, protoOfTensor } from '../../src/onnx/tensor.js';
import { changed, CLASSES, int, named, node, soundModel } from './oddModels.js';

const [FLOAT, INT64] = [1, 7];

function info(name: string, dims: readonly (number | string)[], elemType = FLOAT): ValueInfoProto {
  const dim = dims.map((each) =>
    create(TensorShapeProto_DimensionSchema, {
      value: typeof each === 'string' ? { case: 'dimParam', value: each } : { case: 'dimValue', value: BigInt(each) },
    }),
  );
  return create(ValueInfoProtoSchema, {
    name,
    type: { tensorType: { elemType, shape: create(TensorShapeProtoSchema, { dim }) } },
  });
}

/** The sound model's features, [N, 6, 4, 4], and what `add` makes of them. */
const withResults = (outputs: ValueInfoProto[], add: (graph: GraphProto, map: string) => void) =>
  changed(soundModel(), (graph) => {
    add(graph, named(graph, 'conv2').output[0] ?? '');
    graph.output = outputs;
  });

const told = (model: ModelProto): string => {
  try {
    plainForm(model, 'odd.onnx');
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : '';
  }
  return 'nothing';
};

/** Boxes [N, 16, 6] and a map [N, 6, 4, 4], as networks that find and mark things give them. */
const places = (graph: GraphProto, map: string) => {
  graph.initializer.push(protoOfTensor('target', intTensor([3], [0, 16, 6])));
  graph.node.push(node('Reshape', [map, 'target'], ['boxes']), node('Relu', [map], ['masks']));
};

/** Boxes [K, 4] of as many things as are found, and how sure that is, [K, 1]. */
const found = (graph: GraphProto) => {
  graph.initializer.push(
    protoOfTensor('all', floatTensor([1, 9, 4], new Float32Array(36))),
    protoOfTensor('scores', floatTensor([1, 1, 9], new Float32Array(9))),
    protoOfTensor('axis', intTensor([1], [0])),
  );
  graph.node.push(
    node('NonMaxSuppression', ['all', 'scores'], ['chosen']),
    node('Gather', ['all', 'chosen'], ['boxes'], [int('axis', 1)]),
    node('Cast', ['chosen'], ['sure'], [int('to', FLOAT)]),
  );
};

describe('of a model with several results', () => {
  it('says that none is of classes where each is of many places', () => {
    const outputs = [info('boxes', ['N', 16, 6]), info('masks', ['N', 6, 4, 4])];
    expect(told(withResults(outputs, places))).toBe(
      'odd.onnx gives no classes: none of its results is one row of scores for each image, [N, classes], but "boxes" float32 [N, 16, 6], "masks" float32 [N, 6, 4, 4]; head NAME puts a new fully connected layer on a value of it',
    );
  });

  it('says so too where the file leaves the sizes open', () => {
    const outputs = [info('boxes', ['N', 'a', 'b']), info('masks', ['N', 'c', 'd', 'e'])];
    expect(told(withResults(outputs, places))).toMatch(/^odd.onnx gives no classes: .* "boxes" float32 \[N, a, b\], /);
  });

  it('says that it finds things where what it gives is of those', () => {
    const outputs = [info('boxes', ['K', 4]), info('sure', ['K', 3])];
    expect(told(withResults(outputs, found))).toMatch(
      /^odd.onnx finds things in a picture, as node "NonMaxSuppression\/chosen" \(NonMaxSuppression\) shows, and gives no classes of it: its results are "boxes" float32 \[K, 4\], "sure"/,
    );
  });

  it('names the one that could be the classes', () => {
    const outputs = [info('boxes', ['N', 16, 6]), info('logits', ['N', CLASSES]), info('count', ['N', 1], INT64)];
    const model = withResults(outputs, (graph, map) => {
      places(graph, map);
      graph.node.push(node('Shape', [map], ['count']));
    });
    expect(told(model)).toBe(
      `odd.onnx has several results, of which "logits" alone could be the classes; name it if it is (output): "logits" float32 [N, ${CLASSES}]`,
    );
  });

  it('counts what one node gives beside another as a result of its own', () => {
    const outputs = [info('left', ['N', 3, 4, 4]), info('logits', ['N', CLASSES])];
    const model = withResults(outputs, (graph, map) => {
      graph.node.push(node('Split', [map], ['left', 'right'], [int('axis', 1)]));
      graph.node.push(node('Add', ['left', 'right'], ['sum']));
      for (const each of graph.node)
        if (each.name !== 'Split/left') each.input = each.input.map((name) => (name === map ? 'right' : name));
      named(graph, 'fc').input[1] = 'narrow';
      graph.initializer.push(protoOfTensor('narrow', floatTensor([3, CLASSES], new Float32Array(3 * CLASSES))));
      graph.node.sort((a, b) => Number(a.name === 'Split/left') - Number(b.name === 'Split/left'));
    });
    expect(told(model)).toMatch(/"logits" alone could be the classes/);
  });

  it('tells no more outputs than can be read, those nearest to a wrong name first', () => {
    const names = ['first', 'second', 'third', 'fourth', 'fifth', 'sixth', 'logits'];
    const model = withResults(
      names.map((name) => info(name, ['N', CLASSES])),
      (graph) => {
        for (const name of names.slice(0, -1)) graph.node.push(node('Neg', ['logits'], [name]));
      },
    );
    expect(told(model)).toMatch(/name it \(output\): "first" .* "fifth" float32 \[N, 5\], and 1 more$/);
    expect(() => plainForm(model, 'odd.onnx', 'logit')).toThrow(/it has "logits" .*, and 2 more$/);
  });
});

describe('a model that takes no image', () => {
  it.each([
    [
      'sound with a state',
      [info('input', ['batch', 'samples']), info('state', [2, 'batch', 128]), info('sr', [], INT64)],
      '"input" is float32 [batch, samples], "state" is float32 [2, batch, 128], "sr" is int64 []',
    ],
    [
      'sound with the state of one layer',
      [info('input', ['batch', 576]), info('h', [1, 1, 128]), info('c', [1, 1, 128])],
      '"input" is float32 [batch, 576], "h" is float32 [1, 1, 128], "c" is float32 [1, 1, 128]',
    ],
    [
      'text with what came before it',
      ['ids', 'mask', 'key', 'value', 'more'].map((name) => info(name, ['N', 8, 'past', 64], INT64)),
      '"ids" is int64 [N, 8, past, 64], "mask" is int64 [N, 8, past, 64], "key" is int64 [N, 8, past, 64], "value" is int64 [N, 8, past, 64], and 1 more',
    ],
  ])('is told what it takes: %s', (_, inputs, takes) => {
    // Several results come second: naming one would not help.
    const model = changed(soundModel(), (graph) => {
      graph.node = inputs.map(({ name }) => node('Identity', [name], [`${name}_out`]));
      graph.input = inputs;
      graph.output = inputs.map(({ name }) => info(`${name}_out`, ['N', 1]));
    });
    expect(told(model)).toBe(
      `odd.onnx takes no images in colour or grey: its input ${takes}; take a model of photos, [N, 3, H, W], [N, 1, H, W], or with the channels last`,
    );
  });
});
