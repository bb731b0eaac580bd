import { multiplyAdds } from '../graph/cost.js';
import { bindShape, type Node } from '../graph/graph.js';
import { type ModelFile } from '../onnx/model.js';
import { elementCount } from '../onnx/tensor.js';
import type { Layer } from '../policy/layers.js';
import { compile } from './compile.js';
import { classifierOf } from './prepare.js';

export interface InspectOptions {
  readonly policy?: string;
  /** Images a step, for the estimate of memory. */
  readonly batch: number;
  /** New classes; default as many as the model has. */
  readonly classes?: number;
  readonly size?: number;
}

export interface LayerReport {
  /** How a policy counts it, from the end: `F1`, `C2`; empty for a squeeze-excite gate. */
  readonly policyName: string;
  readonly name: string;
  readonly operator: string;
  /** Of one image. */
  readonly outputShape: readonly number[];
  readonly parameters: number;
  readonly multiplyAdds: number;
  readonly trained: boolean;
}

export interface InspectReport {
  readonly layers: readonly LayerReport[];
  readonly parameters: number;
  readonly multiplyAdds: number;
  /** Height and width in pixels. */
  readonly imageSize: readonly [number, number];
  readonly classes: number;
  readonly batch: number;
  readonly policy?: {
    readonly name: string;
    readonly trainableParameters: number;
    readonly frozenMultiplyAdds: number;
    readonly forwardMultiplyAdds: number;
    readonly backwardMultiplyAdds: number;
    readonly boundary: readonly { readonly name: string; readonly shape: readonly number[] }[];
    readonly boundaryBytes: number;
    readonly trainingMemoryBytes: number;
  };
}

/** The layers of a classifier and, with a policy, what it would train and cost. @throws UserError as {@link compile} does. */
export function inspect(model: ModelFile, options: InspectOptions): InspectReport {
  const { graph, layers, imageSize, logits } = classifierOf(model, options.size);
  const width = logits.shape?.at(-1);
  const classes = options.classes ?? (typeof width === 'number' ? width : 2);
  const compiled =
    options.policy === undefined
      ? undefined
      : compile(model, {
          policy: options.policy,
          classes: Array.from({ length: classes }, (_, index) => String(index)),
          batch: options.batch,
          ...(options.size ? { size: options.size } : {}),
          preprocessing: ([height, w]) => ({ height, width: w, resize: 'crop', mean: [0, 0, 0], std: [1, 1, 1] }),
        });
  const trained = new Set(compiled?.manifest.layers.map(({ name }) => name));
  const nameOf = (layer: Layer): string => {
    const among = layer.kind === 'fc' ? layers.fcs : layers.convs;
    const index = among.indexOf(layer);
    return index < 0 ? '' : `${layer.kind === 'fc' ? 'F' : 'C'}${among.length - index}`;
  };
  const parametersOf = (list: readonly Layer[]) =>
    [...new Set(list.flatMap(({ parameters }) => parameters))].reduce(
      (sum, { shape }) => sum + elementCount(bindShape(shape ?? [], 1)),
      0,
    );
  const macs = (nodes: readonly Node[]) => nodes.reduce((sum, node) => sum + multiplyAdds(node), 0);
  return {
    layers: layers.all.map((layer) => ({
      policyName: nameOf(layer),
      name: layer.name,
      operator: operatorOf(layer.node),
      outputShape: bindShape(layer.output.shape?.slice(1) ?? [], 1),
      parameters: parametersOf([layer]),
      multiplyAdds: multiplyAdds(layer.node),
      trained: trained.has(layer.name),
    })),
    parameters: parametersOf(layers.all),
    multiplyAdds: macs(graph.nodes),
    imageSize,
    classes,
    batch: options.batch,
    ...(compiled
      ? { policy: { name: compiled.manifest.policy, ...compiled.manifest.cost, boundary: compiled.manifest.boundary } }
      : {}),
  };
}

/** `Conv 3×3`, `Conv 5×5 depthwise`, `Gemm`. */
function operatorOf(node: Node): string {
  const weight = node.inputs[1]?.constant?.dims ?? [];
  if (node.op !== 'Conv') return node.op;
  const group = node.int('group', 1);
  const suffix = group === 1 ? '' : weight[1] === 1 ? ' depthwise' : ` in ${group} groups`;
  return `Conv ${weight.slice(2).join('×')}${suffix}`;
}
