import { create } from '@bufbuild/protobuf';
import { WireType } from '@bufbuild/protobuf/wire';
import { closeSync, ftruncateSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { drawPictures } from '../../src/data/pictures.js';
import { decodeModel, encodeModel } from '../../src/onnx/model.js';
import {
  type GraphProto,
  type ModelProto,
  NodeProtoSchema,
  StringStringEntryProtoSchema,
  TensorProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from '../../src/onnx/onnx_pb.js';
import { SMALL_CNN } from '../models.js';
import { cliHere, folder } from './cli.js';

/** Runs a verb that must refuse: exit code 2, and one line that `message` matches. */
async function refuses(args: readonly string[], message: RegExp): Promise<void> {
  const { status, stderr } = await cliHere(args);
  expect(stderr.trim().split('\n')).toHaveLength(1);
  expect(stderr).toMatch(/^ort-tl: /);
  expect(stderr).toMatch(message);
  expect(status).toBe(2);
}

const whole = readFileSync(SMALL_CNN);

function file(bytes: Uint8Array): string {
  const path = join(folder(), 'model.onnx');
  writeFileSync(path, bytes);
  return path;
}

/** The small CNN, changed. */
function changed(change: (graph: GraphProto, model: ModelProto) => void): string {
  const model = decodeModel(whole, SMALL_CNN);
  if (!model.graph) throw new Error('no graph');
  change(model.graph, model);
  return file(encodeModel(model));
}

function nodeCalled(graph: GraphProto, name: string): GraphProto['node'][number] {
  const node = graph.node.find((each) => each.name === name);
  if (!node) throw new Error(`no node ${name}`);
  return node;
}

function input(graph: GraphProto): ValueInfoProto {
  const [info] = graph.input;
  if (!info) throw new Error('no input');
  return info;
}

/** Puts an operator called "odd" before what the node `reader` reads. */
function oddBefore(graph: GraphProto, reader: string, opType: string, domain = ''): void {
  const node = nodeCalled(graph, reader);
  const odd = { name: 'odd', opType, domain, input: [node.input[0] ?? ''], output: ['odd'] };
  graph.node.splice(graph.node.indexOf(node), 0, create(NodeProtoSchema, odd));
  node.input[0] = 'odd';
}

/** Puts it after the node that gives the logits. */
function oddAtTheEnd(graph: GraphProto, opType: string, domain = ''): void {
  const [output] = graph.output;
  if (!output) throw new Error('no output');
  graph.node.push(create(NodeProtoSchema, { name: 'odd', opType, domain, input: [output.name], output: ['odd'] }));
  graph.output = [create(ValueInfoProtoSchema, { name: 'odd' })];
}

/** Says in the file what shape the odd operator's result has, for a batch of any size. */
function stateOddShape(graph: GraphProto, ...dims: number[]): void {
  const dim = [
    { value: { case: 'dimParam' as const, value: 'N' } },
    ...dims.map((each) => ({ value: { case: 'dimValue' as const, value: BigInt(each) } })),
  ];
  graph.valueInfo.push(
    create(ValueInfoProtoSchema, { name: 'odd', type: { tensorType: { elemType: 1, shape: { dim } } } }),
  );
}

/** An operator set of nobody's, so that the file is well-formed. */
function importAlien(model: ModelProto): void {
  model.opsetImport.push({ $typeName: 'onnx.OperatorSetIdProto', domain: 'com.example', version: 1n });
}

const INT32 = 6;
const STRING = 8;

const hostile: [string, () => string, RegExp][] = [
  [
    'is cut off',
    () => file(whole.subarray(0, whole.length / 2)),
    /not a whole ONNX model.*export or download it again/,
  ],
  ['lacks its last byte', () => file(whole.subarray(0, -1)), /not a whole ONNX model/],
  ['is no protobuf', () => file(Buffer.alloc(1000, 0xff)), /not a whole ONNX model.*do not decode/],
  ['is empty', () => file(Buffer.alloc(0)), /it is empty/],
  [
    'is cyclic',
    () => changed((graph) => (nodeCalled(graph, 'conv2').input[0] = nodeCalled(graph, 'conv4').output[0] ?? '')),
    /node ".*" \(\w+\) depends on its own output; the model file is damaged/,
  ],
  [
    'takes whole numbers',
    () =>
      changed((graph) => {
        const type = input(graph).type?.tensorType;
        if (type) type.elemType = INT32;
      }),
    /input "input" of .* has element type int32; ort-tl gives images as float32 or bytes \(uint8\)/,
  ],
  [
    'computes in whole numbers in a way that nothing undoes',
    () => changed((graph) => oddBefore(graph, 'conv1', 'QLinearSoftmax', 'com.microsoft')),
    /node "odd" \(QLinearSoftmax\) of .* computes in whole numbers in a way that ort-tl does not undo; take the float32 model/,
  ],
  [
    'has two outputs',
    () =>
      changed((graph) => {
        graph.node.push(
          create(NodeProtoSchema, {
            opType: 'Relu',
            input: [nodeCalled(graph, 'fc1').output[0] ?? ''],
            output: ['other'],
          }),
        );
        graph.output.push(create(ValueInfoProtoSchema, { name: 'other' }));
      }),
    /has several results, and ort-tl cannot tell which are the classes; name it \(--output\): "logits" float32 \[.*\], "other"/,
  ],
  [
    'takes a sequence',
    () =>
      changed((graph) => {
        // TypeProto.sequence_type, field 4: ort-tl keeps it as it is, unread.
        const sequence = { no: 4, wireType: WireType.LengthDelimited, data: Uint8Array.of(0) };
        input(graph).type = { $typeName: 'onnx.TypeProto', $unknown: [sequence] };
      }),
    /input "input" of the model is no tensor; ort-tl needs one image tensor/,
  ],
  [
    'takes a string',
    () =>
      changed((graph) => {
        const type = input(graph).type?.tensorType;
        if (type) type.elemType = STRING;
      }),
    /input "input" has element type string; ort-tl needs float32/,
  ],
  [
    'holds a string',
    () =>
      changed((graph) => {
        const text = { name: 'text', dims: [1n], dataType: STRING, stringData: [Buffer.from('cat')] };
        graph.initializer.push(create(TensorProtoSchema, text));
      }),
    /tensor "text" has element type string.*convert the model to float32/,
  ],
  [
    'lacks its external data',
    () =>
      changed((graph) => {
        const weight = graph.initializer.find(({ name }) => name === 'conv1.weight');
        if (!weight) throw new Error('no weight');
        weight.rawData = new Uint8Array();
        weight.dataLocation = 1;
        weight.externalData = [create(StringStringEntryProtoSchema, { key: 'location', value: 'model.onnx.data' })];
      }),
    /tensor "conv1.weight" of .*model\.onnx is stored in "model\.onnx\.data", which cannot be read.*put it beside/,
  ],
  [
    'is 2 GB large',
    () => {
      const path = join(folder(), 'large.onnx');
      const handle = openSync(path, 'w');
      ftruncateSync(handle, 2 ** 31);
      closeSync(handle);
      return path;
    },
    /large\.onnx holds 2147483648 bytes, but an ONNX file is smaller than 2 GiB; save its tensors as external data/,
  ],
  ['is a device', () => '/dev/zero', /\/dev\/zero is no regular file/],
  [
    'has no classes behind an operator that nobody knows',
    () =>
      changed((graph, model) => {
        importAlien(model);
        oddAtTheEnd(graph, 'Mystery', 'com.example');
      }),
    /node "odd" \(Mystery\) lies between .* and the loss.*export the model without that operator/,
  ],
  [
    'has names that would write over the terminal',
    () => changed((graph) => (nodeCalled(graph, 'conv2').input[0] = 'a\n\u001b[31mb')),
    /reads "a\\n\\x1b\[31mb", which nothing writes/,
  ],
];

describe('ort-tl refuses, with one clear line and exit code 2, a model that', () => {
  let pictures: string;
  beforeAll(async () => {
    pictures = join(folder(), 'pictures');
    await drawPictures(pictures, { set: 'demo', trainPerClass: 4, valPerClass: 2, size: 32, seed: 1 });
  });

  it.each(hostile)('%s', async (_, model, message) => {
    const path = model();
    await refuses(['inspect', path, '--policy', 'F1C0'], message);
    await refuses(['compile', '--model', path, '--policy', 'F1C0', '--classes', 'a,b'], message);
    await refuses(['train', '--model', path, '--policy', 'F1C0', '--data', pictures], message);
  });

  it('ONNX Runtime refuses, as it does for an operator that nobody knows in the frozen part', async () => {
    const path = changed((graph, model) => {
      importAlien(model);
      oddBefore(graph, 'conv1', 'Mystery', 'com.example');
    });
    const compiled = await cliHere(['compile', '--model', path, '--policy', 'F1C0', '--classes', 'a,b']);
    expect(compiled.stderr).toBe('');
    expect(compiled.status).toBe(0);
    const train = ['train', '--data', pictures, '--quiet', '--cache', folder()];
    const refused = /ONNX Runtime cannot load .*frozen\.onnx: .*Mystery/;
    await refuses([...train, '--model', path, '--policy', 'F1C0'], refused);
    // The pixels are kept then, and all of the frozen part is computed from them.
    const { status } = await cliHere([...train, '--model', SMALL_CNN, '--policy', 'full', '--epochs', '1']);
    expect(status).toBe(0);
    await refuses([...train, '--model', path, '--policy', 'F1C0'], refused);
  });
});

describe('ort-tl names the nearest policy that avoids an operator without a gradient rule', () => {
  const compiling = (path: string, policy: string) => [
    'compile',
    '--model',
    path,
    '--policy',
    policy,
    '--classes',
    'a,b',
  ];
  const between = (reader: string) =>
    changed((graph, model) => {
      importAlien(model);
      oddBefore(graph, reader, 'Mystery', 'com.example');
      if (reader === 'fc2') stateOddShape(graph, 148);
      else stateOddShape(graph, 128, 8, 8);
    });

  it.each([
    // The odd operator lies before conv4, the last convolution; its result has the shape that the file states.
    ['conv4', 'F1C2', 'F1C1'],
    ['conv4', 'F2C4', 'F2C1'],
    ['conv4', 'full', 'F2C1'],
    ['fc2', 'F2C0', 'F1C0'],
    ['fc2', 'FxC3', 'F1C0'],
  ])('before %s, for %s: %s', async (reader, policy, nearest) => {
    const path = between(reader);
    await refuses(
      compiling(path, policy),
      new RegExp(
        `node "odd" \\(Mystery\\) lies between a trainable layer and the loss, and has no gradient rule; choose a policy that stops after it, such as ${nearest}$`,
        'm',
      ),
    );
    expect((await cliHere(compiling(path, nearest))).status).toBe(0);
  });

  it('also where the file does not say what the operator gives', async () => {
    const path = changed((graph, model) => {
      importAlien(model);
      oddBefore(graph, 'conv4', 'Mystery', 'com.example');
    });
    await refuses(
      compiling(path, 'F1C1'),
      /the shape of "[^"]*" is not known, since node "odd" \(Mystery\) hides it; write shapes into the model \(onnx\.shape_inference\), or choose a policy that stops after it, such as F1C0$/m,
    );
  });
});
