import { consumersOf, type Node, type Value } from '../graph/graph.js';
import { operatorOf } from '../graph/operators.js';
import type { Layer } from './layer.js';
import { isVector, type Parameters, sizeOf } from './parameters.js';

/** Layers with their parameters, in the order of `nodes`. A parameter that several share is in the layers of each. */
export function collectLayers(nodes: readonly Node[], parameters: Parameters): Layer[] {
  const collector = new LayerCollector(nodes, parameters);
  for (const node of nodes) if (!parameters.fixed.has(node)) collector.add(node);
  return collector.finish();
}

const SHAPING = new Set(['Flatten', 'Reshape', 'Squeeze', 'Transpose', 'Unsqueeze']);
const NORMALIZATIONS: ReadonlySet<string> = new Set([
  'BatchNormalization',
  'GroupNormalization',
  'InstanceNormalization',
  'LayerNormalization',
  'RMSNormalization',
  'SimplifiedLayerNormalization',
]);

/** A value, and parameters that have gone into it. */
interface Reached {
  readonly output: Value;
  readonly parameters: readonly Value[];
}

class LayerCollector {
  private readonly consumers: Map<Value, Node[]>;
  private readonly layers = new Map<Node, Layer>();
  /** Nodes whose parameters are in a layer. */
  private readonly within = new Set<Node>();

  constructor(
    private readonly nodes: readonly Node[],
    private readonly parameters: Parameters,
  ) {
    this.consumers = consumersOf(nodes);
  }

  add(node: Node): void {
    if (node.domain !== '' || this.within.has(node)) return;
    const layer = this.weightedLayer(node) ?? this.normalization(node);
    if (layer) this.layers.set(node, layer);
  }

  /** All layers; parameters that are in none yet make layers of the kind `other`, by the nodes that read them. */
  finish(): Layer[] {
    const owned = new Set([...this.layers.values()].flatMap(({ parameters }) => parameters));
    return this.nodes.flatMap((node): Layer[] => {
      const layer = this.layers.get(node);
      if (layer) return [layer];
      if (this.parameters.fixed.has(node)) return [];
      const read = node.inputs.flatMap((input) => this.parameters.of(input)).filter((value) => !owned.has(value));
      const [first, ...rest] = new Set(read);
      if (!first) return [];
      for (const value of [first, ...rest]) owned.add(value);
      const isAdded = ['Add', 'Sub', 'Sum'].includes(node.op) && isVector(first) && rest.length === 0;
      return [
        {
          kind: 'other',
          name: rest.length === 0 ? first.name : node.name,
          node,
          output: node.output(),
          parameters: [first, ...rest],
          shift: isAdded ? first : undefined,
          norm: undefined,
        },
      ];
    });
  }

  /** A convolution, a product with a weight, its bias and its normalization. */
  private weightedLayer(node: Node): Layer | undefined {
    const at = this.weightAt(node);
    if (at === undefined) return undefined;
    const weights = this.parameters.of(node.inputs[at]);
    const own = node.op === 'Conv' || node.op === 'Gemm' ? this.parameters.of(node.inputs[2]) : [];
    const behind = node.inputs[2] === undefined || node.op === 'Einsum' ? this.biasBehind(node) : undefined;
    const biases = behind ? behind.parameters : own;
    const end = behind?.output ?? node.output();
    const norm = node.op === 'Conv' ? this.normBehind(end) : undefined;
    const scales = norm ? this.scaleOf(norm) : undefined;
    return {
      kind: node.op === 'Conv' ? 'conv' : 'fc',
      name: node.name,
      node,
      output: scales?.output ?? end,
      parameters: [...new Set([...weights, ...biases, ...(scales?.parameters ?? [])])],
      shift: scales?.shift ?? biases.at(-1),
      norm: norm?.op === 'BatchNormalization' ? norm : undefined,
    };
  }

  /** Which input of a node is its weight. */
  private weightAt({ op, inputs }: Node): number | undefined {
    const places = op === 'Conv' ? [1] : ['Einsum', 'Gemm', 'MatMul'].includes(op) ? [1, 0] : [];
    return places.find((index) => this.parameters.of(inputs[index]).length > 0);
  }

  /** The Add of a bias, one number for each of the layer's outputs, that alone reads what a node gives. */
  private biasBehind(node: Node): Reached | undefined {
    const add = this.onlyReader(node.output());
    const biases = add?.op === 'Add' ? add.inputs.filter((input) => this.parameters.of(input).length > 0) : [];
    const [bias] = biases;
    if (!add || !bias || !isVector(bias) || !this.fitsOutputs(node, bias)) return undefined;
    this.within.add(add);
    return { output: add.output(), parameters: this.parameters.of(bias) };
  }

  private fitsOutputs(node: Node, bias: Value): boolean {
    const { shape } = node.output();
    const length = bias.shape?.find((dim) => dim !== 1) ?? 1;
    return length === (node.op === 'Conv' ? shape?.[1] : shape?.at(-1));
  }

  private normBehind(value: Value): Node | undefined {
    const norm = this.onlyReader(value);
    if (norm?.op !== 'BatchNormalization' || norm.domain !== '' || norm.inputs[0] !== value) return undefined;
    return this.parameters.of(norm.inputs[1]).length > 0 || this.parameters.isPlain(norm) ? norm : undefined;
  }

  /** Scale and shift of a normalization; where it has none of its own, those of a Mul and an Add behind it. */
  private scaleOf(norm: Node): Reached & { readonly shift: Value | undefined } {
    this.within.add(norm);
    if (!this.parameters.isPlain(norm)) {
      const [scale, shift] = [norm.inputs[1], norm.inputs[2]].map((value) => this.parameters.of(value));
      return { output: norm.output(), parameters: [...(scale ?? []), ...(shift ?? [])], shift: shift?.at(-1) };
    }
    const scaled = this.vectorBehind(norm.output(), 'Mul');
    const shifted = this.vectorBehind(scaled?.output ?? norm.output(), 'Add');
    return {
      output: (shifted ?? scaled)?.output ?? norm.output(),
      parameters: [...(scaled?.parameters ?? []), ...(shifted?.parameters ?? [])],
      shift: shifted?.parameters.at(-1),
    };
  }

  /** A Mul or an Add of a vector of parameters that alone reads a value, behind operators that shape it. */
  private vectorBehind(value: Value, op: 'Mul' | 'Add'): Reached | undefined {
    const reader = this.onlyReader(value);
    if (reader && SHAPING.has(reader.op)) return this.vectorBehind(reader.output(), op);
    const vector = reader?.op === op ? reader.inputs.find((input) => this.parameters.of(input).length > 0) : undefined;
    if (!reader || !vector || !isVector(vector) || this.within.has(reader)) return undefined;
    this.within.add(reader);
    return { output: reader.output(), parameters: this.parameters.of(vector) };
  }

  private normalization(node: Node): Layer | undefined {
    if (!NORMALIZATIONS.has(node.op) || (operatorOf(node) === undefined && sizeOf(node.input(1)) < 2)) return undefined;
    const { output, parameters, shift } = this.scaleOf(node);
    if (parameters.length === 0) return undefined;
    const norm = node.op === 'BatchNormalization' ? node : undefined;
    return { kind: 'norm', name: node.name, node, output, parameters: [...new Set(parameters)], shift, norm };
  }

  private onlyReader(value: Value): Node | undefined {
    const readers = this.consumers.get(value);
    return readers?.length === 1 ? readers[0] : undefined;
  }
}
