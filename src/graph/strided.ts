import { intTensor, type Tensor, toNumbers } from '../onnx/tensor.js';
import { bindDim, bindShape, type Dim, type Graph, Node, type Shape, Value } from './graph.js';
import { knownDims } from './infer.js';

/** An integer tensor, row-major. */
interface Places {
  readonly dims: readonly number[];
  readonly data: readonly number[];
}

/** More elements than this are not followed: a map of 224 × 224 pixels and 96 channels, for three images. */
const MOST_PLACES = 224 * 224 * 96 * 3;

/**
 * Replaces what torch.onnx writes for `as_strided` (a Gather of all elements in a row, whose places the graph computes) by a
 * Reshape, where it takes every element in its turn: so the exporter says that memory has a certain layout, as in ConvNeXt.
 */
export function straighten(graph: Graph): void {
  // Each one that is replaced gives the shapes that the next one needs.
  while (straightenOne(graph));
}

function straightenOne(graph: Graph): boolean {
  const known = knownDims(graph);
  for (const [index, node] of graph.nodes.entries()) {
    const [row, places] = node.inputs;
    const source = row?.producer?.op === 'Reshape' && row.shape?.length === 1 ? row.producer.input(0) : undefined;
    if (node.op !== 'Gather' || node.domain !== '' || !source?.shape || !places || places.constant) continue;
    const shape = shapeInTurn(places, source.shape, known);
    if (!shape) continue;
    const target = new Value(`${node.name}/shape`, 'int64', [shape.length]);
    target.constant = intTensor(
      [shape.length],
      shape.map((dim) => (typeof dim === 'number' ? dim : -1)),
    );
    graph.nodes[index] = new Node({ op: 'Reshape', name: node.name, inputs: [source, target], outputs: node.outputs });
    return true;
  }
  return false;
}

/** The shape of `places` when these are 0, 1, 2, … for all elements of `source`, whatever the batch: seen for two sizes of it. */
function shapeInTurn(places: Value, source: Shape, known: ReadonlyMap<Value, readonly Dim[]>): Shape | undefined {
  const [two, three] = [2, 3].map((batch) => {
    const found = evaluate(places, batch, known);
    const count = bindShape(source, batch).reduce((product, dim) => product * dim, 1);
    return found?.data.length === count && found.data.every((place, index) => place === index) ? found : undefined;
  });
  if (!two || !three) return undefined;
  const shape = two.dims.map((dim, axis): Dim => (dim === three.dims[axis] ? dim : { batch: dim / 2 }));
  const isFollowed = bindShape(shape, 3).every((dim, axis) => dim === three.dims[axis]);
  return isFollowed && shape.filter((dim) => typeof dim !== 'number').length === 1 ? shape : undefined;
}

/** The integers that a value holds for a batch of `batch`; undefined where ort-tl cannot follow them. */
function evaluate(value: Value, batch: number, known: ReadonlyMap<Value, readonly Dim[]>): Places | undefined {
  if (value.constant) return placesOf(value.constant);
  const dims = known.get(value);
  if (dims && value.shape) return { dims: bindShape(value.shape, batch), data: dims.map((dim) => bindDim(dim, batch)) };
  const node = value.producer;
  const inputs = node?.inputs.map((input) => input && evaluate(input, batch, known));
  const [a, b, c] = inputs ?? [];
  switch (node?.op) {
    case 'Range':
      return a && b && c && range(a.data[0] ?? 0, b.data[0] ?? 0, c.data[0] ?? 1);
    case 'Unsqueeze':
      return a && b && unsqueeze(a, b.data);
    case 'Add':
      return a && b && combine(a, b, (x, y) => x + y);
    case 'Mul':
      return a && b && combine(a, b, (x, y) => x * y);
    default:
      return undefined;
  }
}

function placesOf(constant: Tensor): Places | undefined {
  const isInteger = constant.dtype === 'int64' || constant.dtype === 'int32';
  return isInteger && constant.data.length <= MOST_PLACES
    ? { dims: constant.dims, data: toNumbers(constant) }
    : undefined;
}

function range(start: number, end: number, step: number): Places | undefined {
  const count = Math.max(0, Math.ceil((end - start) / step));
  return count <= MOST_PLACES
    ? { dims: [count], data: Array.from({ length: count }, (_, index) => start + index * step) }
    : undefined;
}

function unsqueeze({ dims, data }: Places, axes: readonly number[]): Places {
  const result = [...dims];
  const rank = dims.length + axes.length;
  for (const place of axes.map((axis) => (axis < 0 ? axis + rank : axis)).sort((x, y) => x - y))
    result.splice(place, 0, 1);
  return { dims: result, data };
}

function combine(a: Places, b: Places, operation: (x: number, y: number) => number): Places | undefined {
  const rank = Math.max(a.dims.length, b.dims.length);
  const [from, to] = [a, b].map(({ dims }) => [...Array.from({ length: rank - dims.length }, () => 1), ...dims]);
  const dims = Array.from({ length: rank }, (_, axis) => Math.max(from?.[axis] ?? 1, to?.[axis] ?? 1));
  const count = dims.reduce((product, dim) => product * dim, 1);
  if (!from || !to || count > MOST_PLACES) return undefined;
  const [firsts, seconds] = [spread(from, dims), spread(to, dims)];
  return {
    dims,
    data: Array.from({ length: count }, (_, index) =>
      operation(a.data[firsts(index)] ?? NaN, b.data[seconds(index)] ?? NaN),
    ),
  };
}

/** For a place in a tensor of shape `to`, the place in one of shape `from` that is broadcast to it. */
function spread(from: readonly number[], to: readonly number[]): (index: number) => number {
  return (index) => {
    let [place, rest, stride] = [0, index, 1];
    for (let axis = to.length - 1; axis >= 0; axis--) {
      const [size, own] = [to[axis] ?? 1, from[axis] ?? 1];
      if (own !== 1) place += (rest % size) * stride;
      rest = Math.floor(rest / size);
      stride *= own;
    }
    return place;
  };
}
