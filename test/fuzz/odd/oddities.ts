import { clone, create } from '@bufbuild/protobuf';
import { halfBits } from '../../../src/onnx/float16.js';
import {
  AttributeProtoSchema,
  FunctionProtoSchema,
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  type NodeProto,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  type TensorProto,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from '../../../src/onnx/onnx_pb.js';
import { floats, floatTensor, intTensor, protoOfTensor, tensor, tensorOfProto } from '../../../src/onnx/tensor.js';
import type { Random } from '../../../src/random.js';
import { int, ints, node } from '../../plain/oddModels.js';
import { CLASSES, IMAGE, LOGITS, UNIT } from './sound.js';

/** What exporters, tools and people do to a model, which leaves what it means as it was. */
export interface Oddity {
  readonly name: string;
  /** Others beside which it would be another function. */
  readonly apart?: readonly string[];
  /** Changes the model, or gives false where it has no place for this. */
  readonly apply: (place: Place) => boolean;
}

/** A model under change. */
export interface Place {
  readonly model: ModelProto;
  readonly graph: GraphProto;
  readonly random: Random;
  /** A name that the graph does not have. */
  readonly fresh: (base: string) => string;
}

const isFloat = ({ dataType }: TensorProto) => dataType === 1;
const opsetOf = ({ opsetImport }: ModelProto) => Number(opsetImport.find(({ domain }) => domain === '')?.version ?? 0);

function pickOne<T>(random: Random, list: readonly T[]): T | undefined {
  return list[random.integer(Math.max(1, list.length))];
}

/** The weights of convolutions and products, which are where they are read alone. */
function weightsOf(graph: GraphProto): { reader: NodeProto; index: number; weight: TensorProto }[] {
  return graph.node.flatMap((reader) =>
    ['Conv', 'Gemm', 'MatMul'].includes(reader.opType)
      ? reader.input.flatMap((name, index) => {
          const weight = graph.initializer.find((each) => each.name === name);
          return index === 1 && weight && isFloat(weight) ? [{ reader, index, weight }] : [];
        })
      : [],
  );
}

/** Puts `nodes` before the reader of a value, and lets it read `name` in its place. */
function insertBefore(graph: GraphProto, reader: NodeProto, index: number, name: string, ...nodes: NodeProto[]): void {
  graph.node.splice(graph.node.indexOf(reader), 0, ...nodes);
  reader.input[index] = name;
}

/** Values between nodes: what writes each, and who reads it. */
function wiresOf(graph: GraphProto): { writer: NodeProto; value: string; readers: NodeProto[] }[] {
  return graph.node.flatMap((writer) =>
    writer.output.slice(0, 1).map((value) => ({
      writer,
      value,
      readers: graph.node.filter(({ input }) => input.includes(value)),
    })),
  );
}

const inputOf = (graph: GraphProto): ValueInfoProto => {
  const found = graph.input.find(({ name }) => name === IMAGE);
  if (!found) throw new Error('no image');
  return found;
};

const dimsOf = (info: ValueInfoProto) => info.type?.tensorType?.shape?.dim ?? [];

/** What says of a value which numbers it has, and, where `dims` are given, how many. */
function valueInfo(name: string, elemType: number, dims?: readonly number[]): ValueInfoProto {
  const shape = dims && {
    shape: { dim: dims.map((size) => ({ value: { case: 'dimValue' as const, value: BigInt(size) } })) },
  };
  return create(ValueInfoProtoSchema, { name, type: { tensorType: { elemType, ...shape } } });
}

/** A tensor's value as a graph reads it that computes it: stored otherwise, with what gives it back. */
const STORAGES: readonly ((place: Place, weight: TensorProto, name: string) => NodeProto[])[] = [
  ({ graph }, weight, name) => {
    graph.initializer = graph.initializer.filter((each) => each !== weight);
    return [node('Constant', [], [name], [create(AttributeProtoSchema, { name: 'value', type: 4, t: weight })])];
  },
  (_, weight, name) => [node('Identity', [weight.name], [name])],
  ({ graph, fresh }, weight, name) => {
    const half = fresh('half');
    const numbers = floats(tensorOfProto(weight));
    graph.initializer.push(
      protoOfTensor(half, tensor('float16', weight.dims.map(Number), Uint16Array.from(numbers, halfBits))),
    );
    return [node('Cast', [half], [name], [int('to', 1)])];
  },
  ({ model, graph, fresh }, weight, name) => {
    if (opsetOf(model) < 10) return [node('Identity', [weight.name], [name])];
    const [whole, scale] = [fresh('whole'), fresh('scale')];
    const numbers = Int8Array.from(floats(tensorOfProto(weight)), (number) => Math.round(number / UNIT));
    graph.initializer.push(
      protoOfTensor(whole, tensor('int8', weight.dims.map(Number), numbers)),
      protoOfTensor(scale, floatTensor([], [UNIT])),
    );
    return [node('DequantizeLinear', [whole, scale], [name])];
  },
  ({ graph, fresh, random }, weight, name) => {
    const flat = fresh('flat');
    const dims = weight.dims.map(Number);
    const shape = fresh('shape');
    graph.initializer.push(
      protoOfTensor(flat, floatTensor([floats(tensorOfProto(weight)).length], floats(tensorOfProto(weight)))),
      protoOfTensor(shape, intTensor([dims.length], random.next() < 0.5 ? dims : [-1, ...dims.slice(1)])),
    );
    return [node('Reshape', [flat, shape], [name])];
  },
  ({ graph, fresh }, weight, name) => {
    const dims = weight.dims.map(Number);
    if (dims.length !== 2) return [node('Identity', [weight.name], [name])];
    const [rows = 0, columns = 0] = dims;
    const numbers = floats(tensorOfProto(weight));
    const turned = fresh('turned');
    graph.initializer.push(
      protoOfTensor(
        turned,
        floatTensor(
          [columns, rows],
          Array.from(
            { length: rows * columns },
            (_, at) => numbers[(at % rows) * columns + Math.floor(at / rows)] ?? 0,
          ),
        ),
      ),
    );
    return [node('Transpose', [turned], [name], [ints('perm', [1, 0])])];
  },
];

const GIVING_FLOATS: ReadonlySet<string> = new Set([
  ...[
    'Conv',
    'BatchNormalization',
    'Relu',
    'Sigmoid',
    'PRelu',
    'Gemm',
    'MatMul',
    'Flatten',
    'GlobalAveragePool',
    'ReduceMean',
  ],
]);

/** Wraps the writer of a random wire into a graph within an If, which reads what is outside. */
function wrapInIf({ graph, random, fresh }: Place): boolean {
  const wires = wiresOf(graph).filter(
    ({ readers, writer }) => readers.length > 0 && writer.output.length === 1 && GIVING_FLOATS.has(writer.opType),
  );
  const wire = pickOne(random, wires);
  if (!wire) return false;
  const { writer, value } = wire;
  const [inside, condition] = [fresh('inside'), fresh('condition')];
  const branch = (name: string, from: NodeProto[]) =>
    create(GraphProtoSchema, {
      name,
      node: from,
      output: [valueInfo(inside, 1)],
    });
  const taken = random.next() < 0.5;
  const copy = clone(NodeProtoSchema, writer);
  copy.output = [inside];
  copy.name = fresh(`${writer.name}_inside`);
  const other = node('Neg', [fresh('negated')], [inside]);
  const negated = clone(NodeProtoSchema, writer);
  negated.output = [other.input[0] ?? ''];
  negated.name = fresh(`${writer.name}_other`);
  const [yes, no] = [[copy], [negated, other]];
  graph.initializer.push(protoOfTensor(condition, tensor('bool', [], Uint8Array.of(taken ? 1 : 0))));
  const choice = node(
    'If',
    [condition],
    [value],
    [
      create(AttributeProtoSchema, { name: 'then_branch', type: 5, g: branch('then', taken ? yes : no) }),
      create(AttributeProtoSchema, { name: 'else_branch', type: 5, g: branch('else', taken ? no : yes) }),
    ],
  );
  graph.node[graph.node.indexOf(writer)] = choice;
  return true;
}

/** Makes a node a call of a function of the model. */
function callFunction({ model, graph, random, fresh }: Place): boolean {
  const writer = pickOne(
    random,
    graph.node.filter(
      ({ opType, output, domain }) => domain === '' && opType !== 'Constant' && opType !== 'If' && output.length === 1,
    ),
  );
  if (!writer) return false;
  const name = fresh(`Function_${writer.opType}`);
  const inputs = writer.input.map((_, index) => `in_${index}`);
  const body = clone(NodeProtoSchema, writer);
  body.input = writer.input.map((given, index) => (given === '' ? '' : (inputs[index] ?? '')));
  body.output = ['out'];
  const opset = model.opsetImport.find(({ domain }) => domain === '');
  if (!opset) return false;
  model.functions.push(
    create(FunctionProtoSchema, {
      name,
      domain: 'local',
      input: inputs,
      output: ['out'],
      node: [body],
      opsetImport: [opset],
    }),
  );
  if (!model.opsetImport.some(({ domain }) => domain === 'local'))
    model.opsetImport.push(create(OperatorSetIdProtoSchema, { domain: 'local', version: 1n }));
  graph.node[graph.node.indexOf(writer)] = node(name, [...writer.input], [...writer.output], [], 'local');
  return true;
}

/** In the order in which they are applied: what changes weights comes before what wraps nodes, and names come last. */
export const ODDITIES: readonly Oddity[] = [
  {
    name: 'statistics over a batch of one',
    apply: ({ graph }) => {
      const means = graph.node.filter(({ name }) => name.startsWith('image_mean'));
      if (means.length === 0) return false;
      for (const each of means) {
        each.input = each.input.slice(0, 1);
        each.attribute = each.attribute.filter(({ name }) => name !== 'axes');
      }
      fixBatch(graph);
      return true;
    },
  },
  {
    name: 'BatchNormalization in training mode',
    apply: ({ model, graph, fresh }) => {
      const norms = graph.node.filter(({ opType }) => opType === 'BatchNormalization');
      for (const norm of norms) {
        const isNew = opsetOf(model) >= 14;
        if (isNew) norm.attribute.push(int('training_mode', 1));
        norm.output = [
          norm.output[0] ?? '',
          fresh('mean'),
          fresh('variance'),
          ...(isNew ? [] : [fresh('a'), fresh('b')]),
        ];
      }
      return norms.length > 0;
    },
  },
  {
    name: 'Dropout in training mode',
    apply: ({ model, graph, fresh }) => {
      const head = graph.node.find(({ name }) => name === 'head');
      if (!head || opsetOf(model) < 12) return false;
      const [ratio, mode, dropped] = [fresh('ratio'), fresh('mode'), fresh('dropped')];
      graph.initializer.push(
        protoOfTensor(ratio, floatTensor([], [0.5])),
        protoOfTensor(mode, tensor('bool', [], Uint8Array.of(1))),
      );
      insertBefore(graph, head, 0, dropped, node('Dropout', [head.input[0] ?? '', ratio, mode], [dropped]));
      return true;
    },
  },
  {
    name: 'weights that are computed',
    apply: (place) => {
      const found = weightsOf(place.graph);
      const some = found.filter(() => place.random.next() < 0.5);
      for (const { reader, index, weight } of some) {
        const name = place.fresh(`${weight.name}_given`);
        const storage = pickOne(place.random, STORAGES);
        if (storage) insertBefore(place.graph, reader, index, name, ...storage(place, weight, name));
      }
      return some.length > 0;
    },
  },
  {
    name: 'padding apart',
    apply: ({ model, graph, fresh }) => {
      const conv = graph.node.find(
        ({ opType, attribute }) =>
          opType === 'Conv' &&
          attribute.some(({ name, ints: pads }) => name === 'pads' && pads.some((pad) => pad > 0n)),
      );
      if (!conv || opsetOf(model) < 11) return false;
      const pads = conv.attribute.find(({ name }) => name === 'pads')?.ints.map(Number) ?? [];
      const [amounts, padded] = [fresh('amounts'), fresh('padded')];
      const [top = 0, left = 0, bottom = 0, right = 0] = pads;
      graph.initializer.push(protoOfTensor(amounts, intTensor([8], [0, 0, top, left, 0, 0, bottom, right])));
      conv.attribute = conv.attribute.filter(({ name }) => name !== 'pads');
      insertBefore(graph, conv, 0, padded, node('Pad', [conv.input[0] ?? '', amounts], [padded]));
      return true;
    },
  },
  {
    name: 'a normalization as a factor and a shift',
    apply: ({ graph, fresh }) => {
      const norm = graph.node.find(({ opType, output }) => opType === 'BatchNormalization' && output.length === 1);
      if (!norm) return false;
      const [gamma, beta, mean, variance] = norm.input.slice(1).map((name) => {
        const found = graph.initializer.find((each) => each.name === name);
        return found ? floats(tensorOfProto(found)) : new Float32Array();
      });
      if (!gamma || !beta || !mean || !variance) return false;
      const epsilon = norm.attribute.find(({ name }) => name === 'epsilon')?.f ?? 0;
      const factor = gamma.map((each, at) => each / Math.sqrt((variance[at] ?? 0) + epsilon));
      const shift = beta.map((each, at) => each - (mean[at] ?? 0) * (factor[at] ?? 0));
      const [by, plus, product] = [fresh('by'), fresh('plus'), fresh('product')];
      const dims = [1, gamma.length, 1, 1];
      graph.initializer.push(
        protoOfTensor(by, floatTensor(dims, factor)),
        protoOfTensor(plus, floatTensor(dims, shift)),
      );
      graph.node.splice(
        graph.node.indexOf(norm),
        1,
        node('Mul', [norm.input[0] ?? '', by], [product]),
        node('Add', [product, plus], [...norm.output]),
      );
      return true;
    },
  },
  {
    name: 'a head by other operators',
    apply: ({ model, graph, random, fresh }) => {
      const head = graph.node.find(({ name }) => name === 'head');
      const weight = graph.initializer.find(({ name }) => name === head?.input[1]);
      const bias = graph.initializer.find(({ name }) => name === head?.input[2]);
      if (!head || !weight || !bias || head.opType !== 'Gemm' || !isFloat(weight)) return false;
      const isTurned = head.attribute.some(({ name, i }) => name === 'transB' && i === 1n);
      const numbers = floats(tensorOfProto(weight));
      const [classes, width] = [floats(tensorOfProto(bias)).length, 6];
      const rows = Array.from({ length: classes * width }, (_, at) =>
        isTurned ? (numbers[at] ?? 0) : (numbers[(at % width) * classes + Math.floor(at / width)] ?? 0),
      );
      const [kernel, map, shape, scores, raw] = ['kernel', 'map', 'map_shape', 'map_scores', 'raw'].map(fresh);
      if (!kernel || !map || !shape || !scores || !raw) return false;
      const at = graph.node.indexOf(head);
      if (opsetOf(model) >= 12 && random.next() < 0.4) {
        graph.initializer.push(protoOfTensor(kernel, floatTensor([classes, width], rows)));
        const equation = create(AttributeProtoSchema, {
          name: 'equation',
          type: 3,
          s: new TextEncoder().encode('bc,kc->bk'),
        });
        graph.node.splice(
          at,
          1,
          node('Einsum', [head.input[0] ?? '', kernel], [raw], [equation]),
          node('Add', [raw, bias.name], [...head.output]),
        );
        return true;
      }
      graph.initializer.push(
        protoOfTensor(kernel, floatTensor([classes, width, 1, 1], rows)),
        protoOfTensor(shape, intTensor([4], [-1, width, 1, 1])),
      );
      graph.node.splice(
        at,
        1,
        node('Reshape', [head.input[0] ?? '', shape], [map]),
        node('Conv', [map, kernel, bias.name], [scores]),
        node('Flatten', [scores], [...head.output]),
      );
      return true;
    },
  },
  {
    name: 'a bias added apart',
    apply: ({ graph, fresh }) => {
      const conv = graph.node.find(({ opType, input }) => opType === 'Conv' && input.length === 3);
      const bias = conv && graph.initializer.find(({ name }) => name === conv.input[2]);
      if (!conv || !bias) return false;
      const [shaped, before, output] = [fresh('shaped_bias'), fresh('unbiased'), conv.output[0] ?? ''];
      const numbers = floats(tensorOfProto(bias));
      graph.initializer.push(protoOfTensor(shaped, floatTensor([numbers.length, 1, 1], numbers)));
      conv.input = conv.input.slice(0, 2);
      conv.output = [before];
      graph.node.splice(graph.node.indexOf(conv) + 1, 0, node('Add', [shaped, before], [output]));
      return true;
    },
  },
  {
    name: 'a pair of Quantize- and DequantizeLinear',
    apply: ({ model, graph, random, fresh }) => {
      if (opsetOf(model) < 10) return false;
      const wire = pickOne(
        random,
        wiresOf(graph).filter(({ writer, readers }) => writer.opType === 'Conv' && readers.length > 0),
      );
      if (!wire) return false;
      const [scale, zero, bytes, back] = [fresh('scale'), fresh('zero'), fresh('bytes'), fresh('back')];
      graph.initializer.push(
        protoOfTensor(scale, floatTensor([], [0.5])),
        protoOfTensor(zero, tensor('uint8', [], Uint8Array.of(128))),
      );
      for (const reader of wire.readers) reader.input = reader.input.map((name) => (name === wire.value ? back : name));
      graph.node.splice(
        graph.node.indexOf(wire.writer) + 1,
        0,
        node('QuantizeLinear', [wire.value, scale, zero], [bytes]),
        node('DequantizeLinear', [bytes, scale, zero], [back]),
      );
      return true;
    },
  },
  {
    name: 'a Flatten in other words',
    apply: ({ graph, random, fresh }) => {
      const flatten = graph.node.find(({ name }) => name === 'flatten');
      if (!flatten) return false;
      const from = flatten.input[0] ?? '';
      const at = graph.node.indexOf(flatten);
      const [shape, sizes, first, batch, rest, zero] = ['shape', 'sizes', 'first', 'batch', 'rest', 'zero'].map(fresh);
      if (!shape || !sizes || !first || !batch || !rest || !zero) return false;
      const reshape = node('Reshape', [from, shape], [...flatten.output]);
      switch (random.integer(3)) {
        case 0:
          graph.initializer.push(protoOfTensor(shape, intTensor([2], [0, -1])));
          graph.node[at] = reshape;
          break;
        case 1:
          graph.initializer.push(protoOfTensor(shape, intTensor([2], [-1, 6])));
          graph.node[at] = reshape;
          break;
        default:
          graph.initializer.push(
            protoOfTensor(zero, intTensor([], [0])),
            protoOfTensor(rest, intTensor([1], [-1])),
            protoOfTensor(first, intTensor([1], [0])),
          );
          graph.node.splice(
            at,
            1,
            node('Shape', [from], [sizes]),
            node('Gather', [sizes, first], [batch], [int('axis', 0)]),
            node('Concat', [batch, rest], [shape], [int('axis', 0)]),
            reshape,
          );
      }
      return true;
    },
  },
  {
    name: 'a batch fixed at 1',
    apply: ({ graph, fresh }) => {
      const flatten = graph.node.find(({ name }) => name === 'flatten');
      if (flatten) {
        const shape = fresh('shape');
        graph.initializer.push(protoOfTensor(shape, intTensor([2], [1, -1])));
        graph.node[graph.node.indexOf(flatten)] = node('Reshape', [flatten.input[0] ?? '', shape], [...flatten.output]);
      }
      fixBatch(graph);
      return true;
    },
  },
  {
    name: 'open dimensions',
    apart: ['statistics over a batch of one', 'a batch fixed at 1'],
    apply: ({ graph, random }) => {
      const names = ['batch_size', 'num_channels', 'height', 'width'];
      dimsOf(inputOf(graph)).forEach((dim, index) => {
        dim.value = random.next() < 0.7 ? { case: 'dimParam', value: names[index] ?? '' } : { case: undefined };
      });
      return true;
    },
  },
  {
    name: 'an image whose channels are last',
    apply: ({ graph, fresh }) => {
      const image = inputOf(graph);
      const [batch, channels, height, width] = dimsOf(image);
      const shape = image.type?.tensorType?.shape;
      if (!batch || !channels || !height || !width || !shape) return false;
      shape.dim = [batch, height, width, channels];
      const turned = fresh('turned');
      for (const each of graph.node) each.input = each.input.map((name) => (name === IMAGE ? turned : name));
      graph.node.unshift(node('Transpose', [IMAGE], [turned], [ints('perm', [0, 3, 1, 2])]));
      return true;
    },
  },
  {
    name: 'an input that nothing reads',
    apply: ({ graph, fresh }) => {
      graph.input.push(valueInfo(fresh('unread'), 7, []));
      return true;
    },
  },
  {
    name: 'weights among the inputs',
    apply: ({ graph }) => {
      for (const { name, dims, dataType } of graph.initializer)
        graph.input.push(valueInfo(name, dataType, dims.map(Number)));
      return true;
    },
  },
  {
    name: 'shares in place of scores',
    apply: ({ graph, random }) => {
      rename(graph, LOGITS, 'raw_scores');
      graph.node.push(node(random.next() < 0.7 ? 'Softmax' : 'LogSoftmax', ['raw_scores'], [LOGITS], [int('axis', 1)]));
      return true;
    },
  },
  {
    name: 'what is found beside the scores',
    apply: ({ graph, fresh }) => {
      const found = fresh('class_found');
      graph.node.push(node('ArgMax', [LOGITS], [found], [int('axis', 1), int('keepdims', 0)]));
      graph.output.push(valueInfo(found, 7));
      return true;
    },
  },
  {
    name: 'features beside the scores',
    apply: ({ graph }) => {
      const head = graph.node.find(({ name }) => name === 'head');
      const features = head?.input[0];
      if (features === undefined) return false;
      graph.output.push(valueInfo(features, 1));
      return true;
    },
  },
  {
    name: 'scores as a map of one place',
    apart: ['shares in place of scores', 'what is found beside the scores', 'features beside the scores'],
    apply: ({ model, graph, fresh }) => {
      const [scores] = graph.output;
      const images = scores && dimsOf(scores)[0];
      const head = graph.node.find(({ output }) => output.includes(LOGITS));
      if (!scores?.type?.tensorType || !images || !head || opsetOf(model) < 13) return false;
      const [row, axes] = [fresh('row'), fresh('map_axes')];
      graph.initializer.push(protoOfTensor(axes, intTensor([2], [2, 3])));
      head.output = [row];
      graph.node.push(node('Unsqueeze', [row, axes], [LOGITS]));
      scores.type = valueInfo(LOGITS, 1, [1, CLASSES.length, 1, 1]).type;
      if (scores.type?.tensorType?.shape) scores.type.tensorType.shape.dim[0] = images;
      return true;
    },
  },
  {
    name: 'an image of bytes',
    apply: ({ graph, fresh }) => {
      const image = inputOf(graph);
      if (!image.type?.tensorType) return false;
      image.type.tensorType.elemType = 2;
      const [numbers, scaled, shifted, by, mean] = ['numbers', 'scaled', 'shifted', 'by', 'mean'].map(fresh);
      if (!numbers || !scaled || !shifted || !by || !mean) return false;
      graph.initializer.push(
        protoOfTensor(by, floatTensor([], [BYTES.scale])),
        protoOfTensor(mean, floatTensor([], [BYTES.shift])),
      );
      for (const each of graph.node) each.input = each.input.map((name) => (name === IMAGE ? shifted : name));
      graph.node.unshift(
        node('Cast', [IMAGE], [numbers], [int('to', 1)]),
        node('Mul', [numbers, by], [scaled]),
        node('Add', [scaled, mean], [shifted]),
      );
      return true;
    },
  },
  {
    name: 'an image without a batch',
    apart: [
      'statistics over a batch of one',
      'a batch fixed at 1',
      'open dimensions',
      'an image whose channels are last',
      'shares in place of scores',
      'what is found beside the scores',
      'features beside the scores',
      'scores as a map of one place',
    ],
    apply: ({ model, graph, fresh }) => {
      const shape = inputOf(graph).type?.tensorType?.shape;
      if (!shape || opsetOf(model) < 13) return false;
      shape.dim = shape.dim.slice(1);
      for (const each of graph.output) if (each.type?.tensorType) each.type.tensorType.shape = undefined;
      const [axes, batched] = [fresh('axes'), fresh('batched')];
      graph.initializer.push(protoOfTensor(axes, intTensor([1], [0])));
      for (const each of graph.node) each.input = each.input.map((name) => (name === IMAGE ? batched : name));
      graph.node.unshift(node('Unsqueeze', [IMAGE, axes], [batched]));
      return true;
    },
  },
  {
    name: 'all of it in float16',
    apart: [
      'an image of bytes',
      'weights that are computed',
      'a pair of Quantize- and DequantizeLinear',
      'Dropout in training mode',
      'a normalization as a factor and a shift',
    ],
    apply: (place) => inType(place, 10),
  },
  {
    name: 'all of it in float64',
    apart: [
      'an image of bytes',
      'weights that are computed',
      'a pair of Quantize- and DequantizeLinear',
      'Dropout in training mode',
      'all of it in float16',
    ],
    apply: (place) => inType(place, 11),
  },
  {
    name: 'operator set 7 or 8',
    apply: ({ model, random }) => {
      const opset = model.opsetImport.find(({ domain }) => domain === '');
      if (!opset || opset.version !== 9n) return false;
      opset.version = random.pick([7n, 8n]);
      return true;
    },
  },
  { name: 'an If', apply: wrapInIf },
  { name: 'a function of its own', apply: callFunction },
  {
    name: 'an Identity between',
    apply: ({ graph, random, fresh }) => {
      const wire = pickOne(
        random,
        wiresOf(graph).filter(({ readers }) => readers.length > 0),
      );
      const reader = wire?.readers[0];
      if (!wire || !reader) return false;
      const same = fresh('same');
      insertBefore(graph, reader, reader.input.indexOf(wire.value), same, node('Identity', [wire.value], [same]));
      return true;
    },
  },
  {
    name: 'what nobody reads',
    apply: ({ graph, fresh }) => {
      graph.initializer.push(protoOfTensor(fresh('unused'), floatTensor([2], [1, 2])));
      graph.node.push(node('Shape', [IMAGE], [fresh('unused_shape')]));
      return true;
    },
  },
  {
    name: 'names that ort-tl has itself',
    apply: ({ graph, random }) => {
      const wires = wiresOf(graph).filter(
        ({ readers, value }) => readers.length > 0 && !graph.output.some(({ name }) => name === value),
      );
      for (const name of ['labels', 'loss', 'pixels', 'image_weights', 'learning_rate', 'step']) {
        const wire = pickOne(random, wires);
        const taken = new Set([
          ...graph.node.flatMap(({ output }) => output),
          ...graph.input.map((each) => each.name),
          ...graph.output.map((each) => each.name),
        ]);
        if (wire && !taken.has(name) && taken.has(wire.value)) rename(graph, wire.value, name);
      }
      const weight = pickOne(random, weightsOf(graph));
      if (weight) rename(graph, weight.weight.name, 'logits/next');
      return true;
    },
  },
  {
    name: 'nodes without names, or with the same',
    apply: ({ graph, random }) => {
      for (const each of graph.node) if (random.next() < 0.7) each.name = random.next() < 0.5 ? '' : 'node';
      return true;
    },
  },
  {
    name: 'weights that are older than format 4',
    apply: ({ model, graph }) => {
      if (opsetOf(model) > 9) return false;
      model.irVersion = 3n;
      const stated = new Set(graph.input.map(({ name }) => name));
      for (const { name, dims, dataType } of graph.initializer)
        if (!stated.has(name)) graph.input.push(valueInfo(name, dataType, dims.map(Number)));
      return true;
    },
  },
];

/** How bytes become what the sound model takes. */
export const BYTES = { scale: 2 ** -7, shift: -1 } as const;

/** Turns what is float32 into another type, weights and all that goes in and comes out. */
function inType({ graph }: Place, elemType: 10 | 11): boolean {
  graph.initializer = graph.initializer.map((each) => {
    if (!isFloat(each)) return each;
    const { dims } = tensorOfProto(each);
    const numbers = floats(tensorOfProto(each));
    return protoOfTensor(
      each.name,
      elemType === 10
        ? tensor('float16', dims, Uint16Array.from(numbers, halfBits))
        : tensor('float64', dims, Float64Array.from(numbers)),
    );
  });
  for (const { type } of [...graph.input, ...graph.output])
    if (type?.tensorType?.elemType === 1) type.tensorType.elemType = elemType;
  graph.valueInfo = [];
  return true;
}

function fixBatch(graph: GraphProto): void {
  for (const info of [...graph.input.filter(({ name }) => name === IMAGE), ...graph.output]) {
    const [batch] = dimsOf(info);
    if (batch) batch.value = { case: 'dimValue', value: 1n };
  }
  graph.valueInfo = [];
}

/** Gives a value another name wherever it stands; the graph's own outputs keep theirs through who writes them. */
function rename(graph: GraphProto, from: string, to: string): void {
  const swap = (name: string) => (name === from ? to : name);
  const within = (each: GraphProto): void => {
    for (const one of each.node) {
      one.input = one.input.map(swap);
      one.output = one.output.map(swap);
      for (const { g } of one.attribute) if (g) within(g);
    }
  };
  within(graph);
  for (const each of graph.initializer) each.name = swap(each.name);
  for (const each of graph.input) each.name = swap(each.name);
  graph.valueInfo = graph.valueInfo.filter(({ name }) => name !== from);
}
