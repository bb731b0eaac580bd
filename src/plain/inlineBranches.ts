import { clone } from '@bufbuild/protobuf';
import { UserError } from '../errors.js';
import { canonicalize } from '../graph/canonical.js';
import type { Dim } from '../graph/graph.js';
import { knownDims } from '../graph/infer.js';
import { graphOfModel } from '../graph/proto.js';
import { renameReads } from '../onnx/captured.js';
import { type GraphProto, type NodeProto, NodeProtoSchema } from '../onnx/onnx_pb.js';
import { sharing } from '../onnx/sharing.js';
import { type Draft, nodeOf } from './draft.js';
import { attributeOf, constantsOf, isOneOf, numbersOf, producersOf, shown } from './nodes.js';

/** Sizes of images for which a branch must be the same one, where the model leaves the size open. */
const SIZES = [224, 320] as const;

const isIf = (node: NodeProto) => isOneOf(node, 'If');

/**
 * Puts the nodes of a branch in the place of each If whose condition follows from shapes or constants, as TorchScript writes one for every
 * squeeze. What loops and other branches read from outside themselves stays with them.
 */
export function inlineBranches(draft: Draft): void {
  // A branch may have an If of its own.
  while (draft.graph.node.some(isIf)) {
    const decided = decisions(draft);
    const node = draft.graph.node.find((each) => isIf(each) && decided.has(each.input[0] ?? ''));
    if (!node) return;
    const index = draft.graph.node.indexOf(node);
    const graph = draft.edit();
    const edited = graph.node[index];
    if (!edited) throw new Error('unreachable');
    const branch = attributeOf(edited, decided.get(edited.input[0] ?? '') ? 'then_branch' : 'else_branch')?.g;
    if (!branch)
      throw new UserError('not-onnx', `${shown(edited)} of ${draft.path} lacks a branch; the file is damaged`);
    graph.node.splice(index, 1, ...bodyOf(draft, edited, branch));
  }
}

/** The nodes of a branch, as they are where the If stands. */
function bodyOf(draft: Draft, node: NodeProto, branch: GraphProto): NodeProto[] {
  const place = node.name || (node.output[0] ?? '');
  const own = [...branch.initializer.map(({ name }) => name), ...branch.node.flatMap(({ output }) => output)];
  const names = new Map(own.filter((name) => name !== '').map((name) => [name, draft.uniqueName(`${place}/${name}`)]));
  const nameOf = (name: string) => names.get(name) ?? name;
  draft.edit().initializer.push(...branch.initializer.map((tensor) => sharing(tensor, { name: nameOf(tensor.name) })));
  const nodes = branch.node.map((each) => {
    const copy = clone(NodeProtoSchema, each);
    renameReads(copy, nameOf);
    copy.output = copy.output.map(nameOf);
    copy.name = `${place}/${copy.name || (each.output[0] ?? '')}`;
    return copy;
  });
  branch.output.forEach(({ name }, index) => {
    const output = node.output[index] ?? '';
    if (output !== '') nodes.push(nodeOf('Identity', [nameOf(name)], output));
  });
  return nodes;
}

/** Conditions of Ifs that are known: whether they hold. */
function decisions(draft: Draft): Map<string, boolean> {
  const { graph } = draft;
  const conditions = graph.node.filter(isIf).map(({ input: [condition = ''] }) => condition);
  const answers = SIZES.map((size) => {
    const integers = integersFor(draft, size);
    const truth = new Truth(graph, integers);
    return conditions.map((condition) => truth.of(condition));
  });
  return new Map(
    conditions.flatMap((condition, index) => {
      const [answer, ...others] = answers.map((each) => each[index]);
      return answer !== undefined && others.every((other) => other === answer) ? [[condition, answer] as const] : [];
    }),
  );
}

/** The integers that are known of a model's values, for images of `size`; none where its shapes cannot be followed. */
function integersFor({ model }: Draft, size: number): Map<string, readonly Dim[]> {
  try {
    const graph = graphOfModel(model, [size, size]);
    const names = new Map(
      graph.nodes.flatMap((node) => node.outputs.flatMap((value) => (value ? [[value, value.name] as const] : []))),
    );
    canonicalize(graph);
    return new Map(
      [...knownDims(graph)].flatMap(([value, dims]) => {
        const name = names.get(value);
        return name === undefined ? [] : [[name, dims] as const];
      }),
    );
  } catch (thrown) {
    // What is wrong with the model is told where it is read.
    if (thrown instanceof Error) return new Map();
    throw thrown;
  }
}

const COMPARISONS = new Map<string, (a: number, b: number) => boolean>([
  ['Equal', (a, b) => a === b],
  ['Greater', (a, b) => a > b],
  ['GreaterOrEqual', (a, b) => a >= b],
  ['Less', (a, b) => a < b],
  ['LessOrEqual', (a, b) => a <= b],
]);

/** Whether conditions hold that are computed of known integers. */
class Truth {
  private readonly producers: ReadonlyMap<string, NodeProto>;
  private readonly constants: ReturnType<typeof constantsOf>;

  constructor(
    graph: GraphProto,
    private readonly integers: ReadonlyMap<string, readonly Dim[]>,
  ) {
    this.producers = producersOf(graph);
    this.constants = constantsOf(graph);
  }

  of(name: string): boolean | undefined {
    const constant = this.number(name);
    if (constant !== undefined) return constant !== 0;
    const node = this.producers.get(name);
    if (!node) return undefined;
    const [first = '', second = ''] = node.input;
    if (isOneOf(node, 'Not')) return negated(this.of(first));
    if (isOneOf(node, 'Cast', 'Identity', 'Squeeze', 'Reshape')) return this.of(first);
    if (isOneOf(node, 'And', 'Or')) {
      const both = [this.of(first), this.of(second)];
      const decides = node.opType === 'Or';
      return both.includes(decides) ? decides : both.includes(undefined) ? undefined : !decides;
    }
    const compare = isOneOf(node, ...COMPARISONS.keys()) ? COMPARISONS.get(node.opType) : undefined;
    const [a, b] = [this.number(first), this.number(second)];
    return compare && a !== undefined && b !== undefined ? compare(a, b) : undefined;
  }

  /** A single number. */
  private number(name: string): number | undefined {
    const dims = this.integers.get(name) ?? numbersOf(this.constants.get(name));
    const [only] = dims ?? [];
    if (dims?.length === 1) return typeof only === 'number' ? only : undefined;
    const node = this.producers.get(name);
    return node && isOneOf(node, 'Cast', 'Identity', 'Squeeze', 'Reshape', 'Unsqueeze')
      ? this.number(node.input[0] ?? '')
      : undefined;
  }
}

const negated = (truth: boolean | undefined) => (truth === undefined ? undefined : !truth);
