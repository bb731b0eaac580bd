import { clone, create } from '@bufbuild/protobuf';
import { UserError } from '../errors.js';
import { opsetOf } from '../onnx/model.js';
import {
  type AttributeProto,
  AttributeProtoSchema,
  type FunctionProto,
  type NodeProto,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
} from '../onnx/onnx_pb.js';
import { subgraphsOf, allNodes } from '../onnx/tensorsOf.js';
import type { Draft } from './draft.js';
import { raised, raiseTo } from './raiseOpset.js';
import { shown } from './nodes.js';

/** Functions in functions go no deeper than this. */
const DEEPEST = 64;
/** More nodes than any classifier has; functions that call others twice each double them at every step. */
const MOST_NODES = 500_000;

const keyOf = ({ domain, overload }: FunctionProto | NodeProto, name: string) => `${domain}:${name}:${overload}`;

/**
 * Puts the nodes of a model's own functions in the place of the nodes that call them.
 * @throws UserError `model-functions` for functions that call themselves.
 */
export function inlineFunctions(draft: Draft): void {
  if (draft.model.functions.length === 0) return;
  const model = draft.editModel();
  const functions = new Map(model.functions.map((each) => [keyOf(each, each.name), each]));
  const called = [...calledFrom(draft.graph.node, functions)];
  // All nodes are to be of one operator set: the latest.
  const latest = Math.max(opsetOf(model), ...called.map(opsetOfFunction));
  if (opsetOf(model) < latest) raiseTo(draft, latest);
  for (const each of called) {
    each.node = raised(draft, each.node, opsetOfFunction(each) || latest, latest);
    for (const { domain, version } of each.opsetImport)
      if (domain !== '' && domain !== 'ai.onnx' && !model.opsetImport.some((other) => other.domain === domain))
        model.opsetImport.push(create(OperatorSetIdProtoSchema, { domain, version }));
  }
  const graph = draft.edit();
  graph.node = inlined({ draft, functions, count: { nodes: 0 } }, graph.node, 0);
  model.functions = [];
  model.opsetImport = model.opsetImport.filter(
    ({ domain }) =>
      domain === '' || domain === 'ai.onnx' || [...allNodes(graph.node)].some((node) => node.domain === domain),
  );
}

const opsetOfFunction = ({ opsetImport }: FunctionProto): number =>
  Number(opsetImport.find(({ domain }) => domain === '' || domain === 'ai.onnx')?.version ?? 0n);

/** The functions that nodes call, and those that these call. */
function calledFrom(nodes: readonly NodeProto[], functions: ReadonlyMap<string, FunctionProto>): Set<FunctionProto> {
  const found = new Set<FunctionProto>();
  const visit = (list: readonly NodeProto[]) => {
    for (const node of allNodes(list)) {
      const called = functions.get(keyOf(node, node.opType));
      if (!called || found.has(called)) continue;
      found.add(called);
      visit(called.node);
    }
  };
  visit(nodes);
  return found;
}

/** What inlining goes by, and how many nodes it has made. */
interface Inlining {
  readonly draft: Draft;
  readonly functions: ReadonlyMap<string, FunctionProto>;
  readonly count: { nodes: number };
}

function inlined(inlining: Inlining, nodes: readonly NodeProto[], depth: number): NodeProto[] {
  const { draft, functions, count } = inlining;
  return nodes.flatMap((node) => {
    for (const graph of subgraphsOf(node)) graph.node = inlined(inlining, graph.node, depth);
    const called = functions.get(keyOf(node, node.opType));
    if (!called) return [node];
    count.nodes += called.node.length;
    if (depth > DEEPEST || count.nodes > MOST_NODES)
      throw new UserError(
        'model-functions',
        `${shown(node)} of ${draft.path} is a function that calls itself, or too many others; export the model with functions inlined`,
      );
    return inlined(inlining, bodyFor(draft, node, called), depth + 1);
  });
}

/** A function's nodes, as they are where `caller` calls it. */
function bodyFor(
  draft: Draft,
  caller: NodeProto,
  { input, output, node: body, attributeProto }: FunctionProto,
): NodeProto[] {
  const place = caller.name || (caller.output[0] ?? '');
  const names = new Map<string, string>([['', '']]);
  input.forEach((name, index) => names.set(name, caller.input[index] ?? ''));
  const given = new Map([...attributeProto, ...caller.attribute].map((attribute) => [attribute.name, attribute]));
  const outputs = new Map(output.map((name, index) => [name, caller.output[index] ?? '']));
  const nodes: NodeProto[] = [];
  const written = new Set(
    [...allNodes(body)].flatMap((each) => [
      ...each.output,
      ...subgraphsOf(each).flatMap((graph) => [...graph.input, ...graph.initializer].map(({ name }) => name)),
    ]),
  );
  const nameOf = (name: string): string => {
    const known = names.get(name);
    if (known !== undefined) return known;
    // A constant that writing the function in a later operator set has added to the model.
    if (!written.has(name)) return name;
    // An output that nobody takes needs a name too: another node of the function may read it.
    const own = outputs.get(name) || draft.uniqueName(`${place}/${name}`);
    names.set(name, own);
    return own;
  };
  for (const each of body) nodes.push(renamed(clone(NodeProtoSchema, each), nameOf, given, place));
  // A function may give what it takes.
  for (const [name, taken] of outputs)
    if (taken !== '' && input.includes(name))
      nodes.push(create(NodeProtoSchema, { opType: 'Identity', name: taken, input: [nameOf(name)], output: [taken] }));
  return nodes;
}

function renamed(
  node: NodeProto,
  nameOf: (name: string) => string,
  given: ReadonlyMap<string, AttributeProto>,
  place: string,
): NodeProto {
  node.input = node.input.map(nameOf);
  while (node.input.at(-1) === '') node.input.pop();
  node.output = node.output.map(nameOf);
  node.name = `${place}/${node.name || node.opType}`;
  node.attribute = node.attribute.flatMap((attribute) => {
    if (attribute.refAttrName === '') return [attribute];
    const source = given.get(attribute.refAttrName);
    return source ? [Object.assign(clone(AttributeProtoSchema, source), { name: attribute.name })] : [];
  });
  for (const graph of subgraphsOf(node)) {
    for (const each of [...graph.input, ...graph.initializer, ...graph.output]) each.name = nameOf(each.name);
    graph.node = graph.node.map((each) => renamed(each, nameOf, given, place));
  }
  return node;
}
