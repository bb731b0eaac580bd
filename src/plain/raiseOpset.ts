import { create } from '@bufbuild/protobuf';
import { UserError } from '../errors.js';
import { Node, Value } from '../graph/graph.js';
import { operatorOf } from '../graph/operators.js';
import { protoOfValue } from '../graph/proto.js';
import { opsetOf } from '../onnx/model.js';
import { type NodeProto, OperatorSetIdProtoSchema } from '../onnx/onnx_pb.js';
import { floatTensor, intTensor, protoOfTensor, type Tensor } from '../onnx/tensor.js';
import { subgraphsOf } from '../onnx/tensorsOf.js';
import { type Draft, nodeOf } from './draft.js';
import { attributeOf, intAttribute, intOf, isOneOf, isStandard, shown } from './nodes.js';

/** The oldest operator set that the rest of ort-tl reads. */
const OLDEST = 9;

/** Writes a model of operator set 7 or 8 in set 9. @throws UserError `unsupported-opset` for what set 9 cannot say. */
export function raiseOldOpset(draft: Draft): void {
  const from = opsetOf(draft.model);
  if (from >= OLDEST || from === 0) return;
  raiseTo(draft, OLDEST);
  draft.notes.push(`${draft.path} is written in operator set ${from}; it is trained and exported in set ${OLDEST}`);
}

/** The operator set in which ort-tl writes what it makes: graphs within nodes, which it passes on, have to be written in it too. */
const CANONICAL = 18;

/** Writes a model whose nodes have graphs within in the operator set that they will be run in. @throws UserError `unsupported-opset`. */
export function raiseGraphsWithin(draft: Draft): void {
  if (opsetOf(draft.model) >= CANONICAL || !draft.graph.node.some((node) => subgraphsOf(node).length > 0)) return;
  raiseTo(draft, CANONICAL);
}

/** Writes a model in a later operator set. @throws UserError `unsupported-opset`. */
export function raiseTo(draft: Draft, to: number): void {
  const from = opsetOf(draft.model);
  const graph = draft.edit();
  graph.node = raised(draft, graph.node, from, to);
  const model = draft.editModel();
  model.opsetImport = [
    ...model.opsetImport.filter(({ domain }) => domain !== '' && domain !== 'ai.onnx'),
    create(OperatorSetIdProtoSchema, { domain: '', version: BigInt(to) }),
  ];
}

/** Nodes of operator set `from`, in a later one. @throws UserError `unsupported-opset`. */
export function raised(draft: Draft, nodes: readonly NodeProto[], from: number, to: number): NodeProto[] {
  if (from === to) return [...nodes];
  return nodes.flatMap((node) => {
    for (const graph of subgraphsOf(node)) graph.node = raised(draft, graph.node, from, to);
    return isStandard(node) ? raisedNode(draft, node, from, to) : [node];
  });
}

function raisedNode(draft: Draft, node: NodeProto, from: number, to: number): NodeProto[] {
  const crosses = (until: number) => from < until && until <= to;
  const refuse = (reason: string) =>
    new UserError(
      'unsupported-opset',
      `${shown(node)} of ${draft.path} is written in operator set ${from}, and ${reason}; convert the model (onnx.version_converter)`,
    );
  const without = (...names: string[]) => (node.attribute = node.attribute.filter(({ name }) => !names.includes(name)));
  if (crosses(9)) {
    if (isOneOf(node, 'BatchNormalization')) {
      if (intOf(node, 'spatial', 1) === 0)
        throw refuse('normalizes each place by itself, which later sets do not have');
      without('spatial');
    }
    if (isOneOf(node, 'Scan')) throw refuse('loops over its data otherwise than later sets do');
    if (isOneOf(node, 'Upsample')) {
      const scales = attributeOf(node, 'scales')?.floats ?? [];
      without('scales');
      node.input = [node.input[0] ?? '', addTensor(draft, `${node.name}/scales`, floatTensor([scales.length], scales))];
    }
  }
  if (crosses(11) && isOneOf(node, 'Resize', 'Upsample')) throw refuse('counts pixels otherwise than later sets do');
  if (crosses(12) && isOneOf(node, 'Dropout')) without('ratio');
  if (crosses(14) && isOneOf(node, 'BatchNormalization') && node.output.filter((name) => name !== '').length > 1) {
    node.attribute.push(intAttribute('training_mode', 1));
    node.output = node.output.slice(0, 3);
  }
  if (crosses(18) && isOneOf(node, 'Split') && node.input[1] === undefined && !attributeOf(node, 'split'))
    node.attribute.push(intAttribute('num_outputs', node.output.length));
  if (crosses(21) && isOneOf(node, 'GroupNormalization'))
    throw refuse('scales groups, where later sets scale channels');
  moveAttributes(draft, node, from, to);
  return crosses(13) && isOneOf(node, 'Softmax', 'LogSoftmax', 'Hardmax') ? flattening(draft, node) : [node];
}

/** Makes inputs of attributes that became inputs. */
function moveAttributes(draft: Draft, node: NodeProto, from: number, to: number): void {
  const { opType: op, name } = node;
  const once = operatorOf(new Node({ op, name, inputs: [], outputs: [] }))?.onceAttributes;
  if (!once || from >= once.until || once.until > to) return;
  const inputs = Object.entries(once.kinds).map(([key, kind]) => {
    const attribute = attributeOf(node, key);
    if (!attribute) return '';
    const base = `${name || (node.output[0] ?? '')}/${key}`;
    if (kind === 'float') return addTensor(draft, base, floatTensor([], [attribute.f]));
    const numbers = kind === 'int' ? [Number(attribute.i)] : attribute.ints.map(Number);
    return addTensor(draft, base, intTensor([numbers.length], numbers));
  });
  while (inputs.at(-1) === '') inputs.pop();
  node.input = [...node.input.slice(0, 1), ...inputs];
  node.attribute = node.attribute.filter(({ name: key }) => !Object.hasOwn(once.kinds, key));
}

/** A Softmax that counts its axis and all behind it as one. */
function flattening(draft: Draft, node: NodeProto): NodeProto[] {
  const axis = intOf(node, 'axis', 1);
  if (axis === -1) return [node];
  const [input = ''] = node.input;
  const [output = ''] = node.output;
  const [shape, flat, shares] = ['shape', 'flat', 'shares'].map((word) => draft.uniqueName(`${output}/${word}`));
  if (shape === undefined || flat === undefined || shares === undefined) throw new Error('unreachable');
  return [
    nodeOf('Shape', [input], shape),
    nodeOf('Flatten', [input], flat, { attribute: [intAttribute('axis', axis)] }),
    nodeOf(node.opType, [flat], shares, { attribute: [intAttribute('axis', -1)] }),
    nodeOf('Reshape', [shares, shape], output),
  ];
}

/** Adds a constant, which before format version 4 is an input too. */
function addTensor(draft: Draft, base: string, tensor: Tensor): string {
  const name = draft.addConstant(base, (unique) => protoOfTensor(unique, tensor));
  if (draft.model.irVersion < 4n)
    draft.edit().input.push(protoOfValue(new Value(name, tensor.dtype, tensor.dims), name));
  return name;
}
