import { clone, create } from '@bufbuild/protobuf';
import { encodeModel } from '../../src/onnx/model.js';
import {
  type AttributeProto,
  AttributeProtoSchema,
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProtoSchema,
  ValueInfoProtoSchema,
} from '../../src/onnx/onnx_pb.js';
import type { Random } from '../../src/random.js';

const integers = [
  ...[0n, 1n, 2n, 3n, 5n, 7n, 64n, 255n, 4096n, 65_537n, -1n, -2n, -7n, -4096n],
  ...[2n ** 31n - 1n, 2n ** 31n, -(2n ** 31n), 2n ** 32n, 2n ** 53n, 2n ** 62n, 2n ** 63n - 1n, -(2n ** 63n)],
] as const;
const numbers = [0, 1, -1, 0.5, 1e-30, 1e30, -1e38, NaN, Infinity, -Infinity] as const;
const names = [
  ...['', 'pixels', 'pixels/Cast', 'labels', 'image_weights', 'learning_rate', 'step', 'loss', 'logits'],
  ...[
    'fc2.weight/next',
    '__proto__',
    'constructor',
    'toString',
    'a\nb',
    '\u001b[31mred',
    '\u0000',
    '😀',
    'x'.repeat(5000),
  ],
] as const;
const domains = ['', '', 'ai.onnx', 'com.microsoft', 'com.example', 'ai.onnx.ml', 'junk\n'] as const;
const unary = [
  ...['Abs', 'BatchNormalization', 'Cast', 'Ceil', 'Clip', 'Concat', 'DepthToSpace', 'Dropout', 'Elu', 'Erf', 'Exp'],
  ...['Expand', 'Flatten', 'Gather', 'Gelu', 'GlobalAveragePool', 'GlobalMaxPool', 'HardSigmoid', 'HardSwish'],
  ...['Identity', 'InstanceNormalization', 'LRN', 'LayerNormalization', 'LeakyRelu', 'Log', 'LogSoftmax', 'MaxPool'],
  ...['AveragePool', 'Max', 'Mean', 'Min', 'Mish', 'Neg', 'OneHot', 'PRelu', 'Pad', 'Pow', 'Reciprocal', 'ReduceMax'],
  ...['ReduceMean', 'ReduceSum', 'ReduceL2', 'Relu', 'Reshape', 'Resize', 'Round', 'Selu', 'Shape', 'Sigmoid', 'Sign'],
  ...[
    'Sinh',
    'Slice',
    'Softmax',
    'Softplus',
    'SpaceToDepth',
    'Split',
    'Sqrt',
    'Squeeze',
    'Sum',
    'Tanh',
    'Tile',
    'TopK',
  ],
  ...['Transpose', 'Unsqueeze', 'Upsample', 'Where', 'ConstantOfShape', 'Loop', 'If', 'SequenceAt', 'QLinearConv'],
] as const;
const binary = ['Add', 'Sub', 'Mul', 'Div', 'Pow', 'MatMul', 'Gemm', 'Conv', 'ConvTranspose', 'Concat', 'Min'] as const;
const attributeNames = [
  ...['kernel_shape', 'strides', 'pads', 'dilations', 'group', 'auto_pad', 'axis', 'axes', 'perm', 'keepdims', 'to'],
  ...['transA', 'transB', 'alpha', 'epsilon', 'allowzero', 'ceil_mode', 'output_padding', 'output_shape', 'value'],
  ...['start', 'end', 'mode', 'split', 'num_outputs', 'blocksize', 'size', 'training_mode', 'count_include_pad'],
] as const;

/** One of `list`, which is not empty. */
function among<T>(random: Random, list: readonly T[]): T {
  const item = list[random.integer(list.length)];
  if (item === undefined) throw new RangeError('nothing to choose from');
  return item;
}

const some = (random: Random, most: number): number => random.integer(most + 1);
const aName = (random: Random): string => random.pick(names);
/** Mostly small, sometimes absurd. */
const anInteger = (random: Random): bigint =>
  random.next() < 0.5 ? BigInt(random.integer(5)) : among(random, integers);
const severalIntegers = (random: Random): bigint[] =>
  Array.from({ length: random.next() < 0.9 ? some(random, 6) : 70 }, () => anInteger(random));

/** A name that the graph uses somewhere. */
function usedName(random: Random, graph: GraphProto): string {
  const used = [
    ...graph.node.flatMap(({ input, output }) => [...input, ...output]),
    ...graph.initializer.map(({ name }) => name),
    ...graph.input.map(({ name }) => name),
  ];
  return used.length === 0 || random.next() < 0.1 ? aName(random) : among(random, used);
}

function junkAttribute(random: Random, name: string): AttributeProto {
  const bytes = () => Uint8Array.from({ length: some(random, 12) }, () => random.integer(256));
  const words = ['SAME_UPPER', 'SAME_LOWER', 'VALID', 'NOTSET', 'reflect', 'DCR', 'CRD', 'linear', 'tanh'] as const;
  const init = random.pick<Record<string, unknown>>([
    { type: 1, f: random.pick(numbers) },
    { type: 2, i: anInteger(random) },
    { type: 2, i: BigInt(some(random, 3)) },
    { type: 3, s: bytes() },
    { type: 3, s: new TextEncoder().encode(random.pick(words)) },
    { type: 4, t: create(TensorProtoSchema, { dims: severalIntegers(random), dataType: some(random, 24) }) },
    { type: 4, t: create(TensorProtoSchema, { dims: [1n], dataType: 7, int64Data: [anInteger(random)] }) },
    { type: 6, floats: [random.pick(numbers)] },
    { type: 7, ints: severalIntegers(random) },
    { type: 7, ints: [anInteger(random), anInteger(random)] },
    { type: 7, ints: Array.from({ length: 4 }, () => BigInt(some(random, 3))) },
    { type: 8, strings: [bytes(), bytes()] },
    { type: random.integer(20) },
    { type: 5, g: nested(some(random, 3) === 0 ? 150 : 3) },
  ]);
  return create(AttributeProtoSchema, { name, ...init });
}

/** A graph in an attribute of a graph in an attribute … */
function nested(depth: number): GraphProto {
  let graph = create(GraphProtoSchema, { name: 'innermost' });
  for (let level = 0; level < depth; level++) {
    const body = create(AttributeProtoSchema, { name: 'body', type: 5, g: graph });
    graph = create(GraphProtoSchema, { node: [create(NodeProtoSchema, { opType: 'Loop', attribute: [body] })] });
  }
  return graph;
}

/** Puts `nodes`, which read "in" and write "out", between a value and one of its readers. */
function insert(
  random: Random,
  graph: GraphProto,
  nodes: (from: string, to: string) => { opType: string; input: string[]; output: string[]; domain?: string }[],
): void {
  const readers = graph.node.filter(({ input }) => input.length > 0);
  if (readers.length === 0) return;
  const reader = among(random, readers);
  const place = random.next() < 0.8 ? 0 : random.integer(reader.input.length);
  const to = `inserted_${graph.node.length}_${random.integer(1000)}`;
  const added = nodes(reader.input[place] ?? '', to).map((node) => create(NodeProtoSchema, node));
  for (const node of added.slice(0, 3)) {
    while (random.next() < 0.4) node.attribute.push(junkAttribute(random, random.pick(attributeNames)));
  }
  reader.input[place] = to;
  graph.node.splice(graph.node.indexOf(reader), 0, ...added);
}

type GraphMutation = (random: Random, graph: GraphProto, model: ModelProto) => void;

const onNode =
  (mutate: (random: Random, node: GraphProto['node'][number], graph: GraphProto) => void): GraphMutation =>
  (random, graph) => {
    if (graph.node.length > 0) mutate(random, among(random, graph.node), graph);
  };
const onInitializer =
  (mutate: (random: Random, tensor: GraphProto['initializer'][number], graph: GraphProto) => void): GraphMutation =>
  (random, graph) => {
    if (graph.initializer.length > 0) mutate(random, among(random, graph.initializer), graph);
  };

/** What can be wrong with a file whose bytes still decode. */
const graphMutations: Record<string, GraphMutation> = {
  'drop a node': (random, graph) => void graph.node.splice(random.integer(graph.node.length), 1),
  'duplicate a node': onNode((_, node, graph) => void graph.node.push(clone(NodeProtoSchema, node))),
  'shuffle nodes': (random, graph) => void random.shuffle(graph.node),
  'exchange operators': onNode((random, node, graph) => {
    const other = among(random, graph.node);
    [node.opType, other.opType] = [other.opType, node.opType];
  }),
  'another operator': onNode((random, node) => {
    node.opType = random.next() < 0.9 ? among(random, [...unary, ...binary]) : aName(random);
  }),
  'another domain': onNode((random, node) => (node.domain = random.pick(domains))),
  'another node name': onNode((random, node, graph) => {
    node.name = random.next() < 0.5 ? aName(random) : among(random, graph.node).name;
  }),
  'drop an input': onNode((random, node) => void node.input.splice(random.integer(node.input.length + 1), 1)),
  'another input': onNode((random, node, graph) => {
    node.input[random.integer(node.input.length + 1)] = usedName(random, graph);
  }),
  'one more input': onNode((random, node, graph) => void node.input.push(usedName(random, graph))),
  'omit an input': onNode((random, node) => {
    if (node.input.length > 0) node.input[random.integer(node.input.length)] = '';
  }),
  'shuffle inputs': onNode((random, node) => void random.shuffle(node.input)),
  'read its own output': onNode((random, node) => {
    node.input[0] = node.output[0] ?? aName(random);
  }),
  'read a later output': onNode((random, node, graph) => {
    node.input[0] = among(random, graph.node).output[0] ?? '';
  }),
  'another output': onNode((random, node, graph) => (node.output[0] = usedName(random, graph))),
  'no outputs': onNode((_, node) => (node.output = [])),
  'omit the first output': onNode((_, node) => (node.output[0] = '')),
  'more outputs': onNode((random, node, graph) => void node.output.push(usedName(random, graph), 'second', '')),
  'drop an attribute': onNode((random, node) => {
    node.attribute.splice(random.integer(node.attribute.length + 1), 1);
  }),
  'junk in an attribute': onNode((random, node) => {
    const place = random.integer(node.attribute.length + 1);
    const name = node.attribute[place]?.name ?? random.pick(attributeNames);
    node.attribute[place] = junkAttribute(random, name);
  }),
  'one more attribute': onNode((random, node) => {
    node.attribute.push(junkAttribute(random, random.pick(attributeNames)));
  }),
  'rename a value': (random, graph) => {
    const [from, to] = [usedName(random, graph), aName(random)];
    const renamed = (name: string) => (name === from ? to : name);
    for (const node of graph.node) {
      node.input = node.input.map(renamed);
      node.output = node.output.map(renamed);
    }
    for (const each of [...graph.initializer, ...graph.input, ...graph.output]) each.name = renamed(each.name);
  },
  'drop an initializer': (random, graph) => {
    graph.initializer.splice(random.integer(graph.initializer.length + 1), 1);
  },
  'duplicate an initializer': onInitializer((random, tensor, graph) => {
    graph.initializer.push(clone(TensorProtoSchema, { ...tensor, name: usedName(random, graph) }));
  }),
  'another initializer name': onInitializer((random, tensor, graph) => (tensor.name = usedName(random, graph))),
  'an absurd dimension': onInitializer((random, tensor) => {
    tensor.dims[random.integer(tensor.dims.length + 1)] = anInteger(random);
  }),
  'the same elements in another shape': onInitializer((random, tensor) => {
    const count = tensor.dims.reduce((a, b) => a * b, 1n);
    tensor.dims = random.pick([
      [count],
      [1n, count],
      [count, 1n],
      [1n, 1n, 1n, count],
      [...tensor.dims, 1n],
      [1n, ...tensor.dims],
      [...tensor.dims].reverse(),
      count === 1n ? [] : tensor.dims,
    ]);
  }),
  'no elements, in an absurd shape': onInitializer((random, tensor) => {
    tensor.dims = [anInteger(random), 0n, anInteger(random), anInteger(random)].slice(0, 2 + some(random, 2));
    tensor.rawData = new Uint8Array(0);
  }),
  'another element type': onInitializer((random, tensor) => (tensor.dataType = some(random, 26))),
  'fewer or more bytes': onInitializer((random, tensor) => {
    const length = random.next() < 0.5 ? random.integer(tensor.rawData.length + 1) : tensor.rawData.length + 4;
    const bytes = new Uint8Array(length);
    bytes.set(tensor.rawData.subarray(0, length));
    tensor.rawData = bytes;
  }),
  'junk elements': onInitializer((random, tensor) => {
    const view = new DataView(new ArrayBuffer(tensor.rawData.length));
    for (let at = 0; at + 8 <= view.byteLength; at += 8) view.setBigInt64(at, anInteger(random), true);
    tensor.rawData = new Uint8Array(view.buffer);
  }),
  'junk in a vector of integers': (random, graph) => {
    const vectors = graph.initializer.filter(({ dataType }) => dataType === 7);
    if (vectors.length === 0) return;
    const tensor = among(random, vectors);
    const values = severalIntegers(random);
    tensor.rawData = new Uint8Array(BigInt64Array.from(values).buffer);
    tensor.dims = [BigInt(values.length)];
  },
  'floats that are none': onInitializer((random, tensor) => {
    if (tensor.rawData.length % 4 !== 0) return;
    const floats = Float32Array.from({ length: tensor.rawData.length / 4 }, () => random.pick(numbers));
    tensor.rawData = new Uint8Array(floats.buffer);
  }),
  'external data': onInitializer((random, tensor) => {
    tensor.dataLocation = 1;
    const entry = (key: string, value: string) => ({ $typeName: 'onnx.StringStringEntryProto' as const, key, value });
    tensor.externalData = [
      entry('location', random.pick(['../../etc/passwd', '/dev/zero', 'm.onnx', '', '.', '\u0000', 'no.bin'])),
      entry('offset', String(anInteger(random))),
      entry('length', random.pick(['', 'NaN', '1e99', String(anInteger(random))])),
    ];
  }),
  'another input shape': (random, graph) => {
    const dims = graph.input[0]?.type?.tensorType?.shape?.dim ?? [];
    const dim = dims[random.integer(dims.length)];
    if (dim) dim.value = { case: 'dimValue', value: anInteger(random) };
    else dims.push(...dims);
  },
  'an open input dimension': (random, graph) => {
    const dims = graph.input[0]?.type?.tensorType?.shape?.dim ?? [];
    const dim = dims[random.integer(dims.length)];
    if (dim) dim.value = random.next() < 0.5 ? { case: 'dimParam', value: aName(random) } : { case: undefined };
  },
  'another rank of the input': (random, graph) => {
    const shape = graph.input[0]?.type?.tensorType?.shape;
    if (shape) shape.dim.splice(random.integer(shape.dim.length), 1);
  },
  'another input type': (random, graph) => {
    const info = graph.input[0];
    if (info?.type?.tensorType && random.next() < 0.7) info.type.tensorType.elemType = some(random, 24);
    else if (info) delete info.type;
  },
  'one more graph input': (random, graph) => {
    graph.input.push(create(ValueInfoProtoSchema, { name: usedName(random, graph), type: graph.input[0]?.type ?? {} }));
  },
  'drop a graph input or output': (random, graph) => {
    if (random.next() < 0.5) graph.input.pop();
    else graph.output.pop();
  },
  'one more graph output': (random, graph) => {
    graph.output.push(create(ValueInfoProtoSchema, { name: usedName(random, graph) }));
  },
  'another graph output': (random, graph) => {
    graph.output = [create(ValueInfoProtoSchema, { name: usedName(random, graph) })];
  },
  'shapes that the file claims': (random, graph) => {
    const dim = Array.from({ length: some(random, 5) }, () => ({
      value: { case: 'dimValue' as const, value: anInteger(random) },
    }));
    graph.valueInfo.push(
      create(ValueInfoProtoSchema, {
        name: usedName(random, graph),
        type: { tensorType: { elemType: some(random, 12), shape: { dim } } },
      }),
    );
  },
  'another operator set': (random, _, model) => {
    const entry = model.opsetImport[0];
    if (entry && random.next() < 0.8) entry.version = BigInt(7 + random.integer(18));
    else if (entry) entry.version = anInteger(random);
  },
  'one more operator set': (random, _, model) => {
    model.opsetImport.push({
      $typeName: 'onnx.OperatorSetIdProto',
      domain: random.pick(domains),
      version: anInteger(random),
    });
  },
  'an operator in between': (random, graph) => {
    insert(random, graph, (from, to) => [
      { opType: random.pick(unary), input: [from], output: [to], domain: random.next() < 0.9 ? '' : 'com.example' },
    ]);
  },
  'an operator of several inputs in between': (random, graph) => {
    insert(random, graph, (from, to) => [
      {
        opType: random.next() < 0.6 ? random.pick(binary) : random.pick(unary),
        input: random.shuffle([from, ...Array.from({ length: 1 + some(random, 3) }, () => usedName(random, graph))]),
        output: [to],
      },
    ]);
  },
  'a value that doubles forty times': (random, graph) => {
    const opType = random.pick(['Concat', 'Add', 'Gather', 'Mul', 'MatMul']);
    insert(random, graph, (from, to) =>
      Array.from({ length: 40 }, (_, index) => {
        const input = index === 0 ? from : `${to}_${index - 1}`;
        return { opType, input: [input, input], output: [index === 39 ? to : `${to}_${index}`] };
      }),
    );
  },
  'a giant made of a few bytes': (random, graph) => {
    graph.initializer.push(
      create(TensorProtoSchema, {
        name: 'giant',
        dims: [4n],
        dataType: 7,
        int64Data: Array.from({ length: 4 }, () => random.pick([1n, 65_536n, 2n ** 31n, 2n ** 62n])),
      }),
    );
    insert(random, graph, (from, to) => [
      {
        opType: random.pick(['Expand', 'Tile', 'Reshape', 'Pad', 'OneHot', 'Resize', 'ConstantOfShape']),
        input: random.pick([
          [from, 'giant'],
          ['giant', from],
          ['giant', 'giant', from],
        ]),
        output: [to],
      },
    ]);
  },
  'a chain of a thousand': (random, graph) => {
    const opType = random.pick(unary);
    insert(random, graph, (from, to) =>
      Array.from({ length: 1000 }, (_, index) => ({
        opType,
        input: [index === 0 ? from : `${to}_${index - 1}`],
        output: [index === 999 ? to : `${to}_${index}`],
      })),
    );
  },
};

type ByteMutation = (random: Random, bytes: Uint8Array) => Uint8Array;

const byteMutations: Record<string, ByteMutation> = {
  'flip bits': (random, bytes) => {
    const result = Uint8Array.from(bytes);
    for (let count = 1 + random.integer(8); count > 0; count--) {
      const at = random.integer(result.length);
      result[at] = (result[at] ?? 0) ^ (1 << random.integer(8));
    }
    return result;
  },
  'flip bits at the end': (random, bytes) => {
    const result = Uint8Array.from(bytes);
    for (let count = 1 + random.integer(4); count > 0; count--) {
      const at = result.length - 1 - random.integer(Math.min(result.length, 1500));
      result[at] = (result[at] ?? 0) ^ (1 << random.integer(8));
    }
    return result;
  },
  truncate: (random, bytes) => bytes.subarray(0, random.integer(bytes.length)),
  'cut a piece out': (random, bytes) => {
    const from = random.integer(bytes.length);
    return Buffer.concat([bytes.subarray(0, from), bytes.subarray(from + 1 + random.integer(40))]);
  },
  'insert noise': (random, bytes) => {
    const at = random.integer(bytes.length);
    const noise = Uint8Array.from({ length: 1 + random.integer(20) }, () => random.integer(256));
    return Buffer.concat([bytes.subarray(0, at), noise, bytes.subarray(at)]);
  },
  'repeat a piece elsewhere': (random, bytes) => {
    const from = random.integer(bytes.length);
    const at = random.integer(bytes.length);
    const piece = bytes.subarray(from, from + 1 + random.integer(200));
    return Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at)]);
  },
};

/** A damaged copy of `model`, and what was done to it: one case is what one state of `random` gives. */
export function mutate(model: ModelProto, random: Random): { bytes: Uint8Array; changes: string[] } {
  const copy = clone(ModelProtoSchema, model);
  const changes: string[] = [];
  if (random.next() < 0.85) {
    for (let count = 1 + (random.next() < 0.4 ? random.integer(3) : 0); count > 0; count--) {
      const [name, change] = among(random, Object.entries(graphMutations));
      if (!copy.graph) break;
      changes.push(name);
      change(random, copy.graph, copy);
    }
    return { bytes: encodeModel(copy), changes };
  }
  const [name, change] = among(random, Object.entries(byteMutations));
  return { bytes: change(random, encodeModel(copy)), changes: [name] };
}
