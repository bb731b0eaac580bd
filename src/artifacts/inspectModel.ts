import { multiplyAdds } from '../graph/cost.js';
import { bindShape, type Node, type Value } from '../graph/graph.js';
import { type ModelFile } from '../onnx/model.js';
import { elementCount } from '../onnx/tensor.js';
import { findBlocks } from '../policy/blocks.js';
import type { Layer } from '../policy/layers.js';
import { compile } from './compile.js';
import type { CompileOptions } from './compileOptions.js';
import { taskOf } from './labelsMetadata.js';
import { classifierOf } from './prepare.js';
import { sideOf } from './preprocessing.js';
import type { Task } from './task.js';

export interface InspectOptions {
  readonly policy?: string;
  /** Images a step, for the estimate of memory. */
  readonly batch: number;
  /** New classes; default as many as the model has. */
  readonly classes?: number;
  readonly size?: number | undefined;
  readonly hidden?: CompileOptions['hidden'];
  readonly batchNorm?: CompileOptions['batchNorm'];
}

export interface LayerReport {
  /** How a policy counts it, from the end: `F1`, `C2`; empty for a squeeze-excite gate and a normalization. */
  readonly policyName: string;
  /** Which block it belongs to, counted from the end as `blocks:2` does; undefined outside of blocks. */
  readonly block: number | undefined;
  readonly name: string;
  readonly operator: string;
  /** The layer's result for one image. */
  readonly outputShape: readonly number[];
  readonly parameters: number;
  readonly multiplyAdds: number;
  /** How many of them the policy trains. */
  readonly trainedParameters: number;
  readonly trained: boolean;
}

export interface InspectReport {
  readonly layers: readonly LayerReport[];
  readonly parameters: number;
  readonly multiplyAdds: number;
  /** Height and width in pixels. */
  readonly imageSize: readonly [number, number];
  readonly blocks: number;
  /** Whether it has classes, or labels of which an image may have any number. */
  readonly task: Task;
  readonly classes: number;
  readonly batch: number;
  readonly policy?: {
    readonly name: string;
    readonly trainableParameters: number;
    /** Parameters of the model with its new head. */
    readonly parameters: number;
    readonly frozenMultiplyAdds: number;
    readonly forwardMultiplyAdds: number;
    readonly backwardMultiplyAdds: number;
    readonly boundary: readonly { readonly name: string; readonly shape: readonly number[] }[];
    readonly boundaryBytes: number;
    readonly trainingMemoryBytes: number;
    readonly notes: readonly string[];
    readonly warnings: readonly string[];
  };
}

/** The layers of a classifier and, with a policy, what it would train and cost. @throws UserError as {@link compile} does. */
export function inspect(model: ModelFile, options: InspectOptions): InspectReport {
  const { usual } = sideOf(model, options);
  const { graph, layers, imageSize, logits, ending } = classifierOf(model, options.size, usual);
  const task = taskOf(model, ending?.op === 'Sigmoid' || ending?.op === 'HardSigmoid');
  const blocks = findBlocks(graph, layers);
  const width = logits.shape?.at(-1);
  const classes = options.classes ?? (typeof width === 'number' ? width : 2);
  const compiled =
    options.policy === undefined
      ? undefined
      : compile(model, {
          policy: options.policy,
          task,
          classes: Array.from({ length: classes }, (_, index) => String(index)),
          batch: options.batch,
          ...(options.size ? { size: options.size } : {}),
          ...(options.hidden ? { hidden: options.hidden } : {}),
          ...(options.batchNorm ? { batchNorm: options.batchNorm } : {}),
          preprocessing: 'unit',
          warmStart: false,
        });
  const trained = new Map(compiled?.manifest.layers.map(({ name, parameters }) => [name, new Set(parameters)]));
  const blockOf = new Map(
    blocks.flatMap((block, index) => block.layers.map((layer) => [layer, blocks.length - index] as const)),
  );
  const nameOf = (layer: Layer): string => {
    const among = layer.kind === 'fc' ? layers.fcs : layers.convs;
    const index = among.indexOf(layer);
    return index < 0 ? '' : `${layer.kind === 'fc' ? 'F' : 'C'}${among.length - index}`;
  };
  const sizeOf = (values: readonly Value[]) =>
    values.reduce((sum, { shape }) => sum + elementCount(bindShape(shape ?? [], 1)), 0);
  const parametersOf = (list: readonly Layer[]) => sizeOf([...new Set(list.flatMap(({ parameters }) => parameters))]);
  const macs = (nodes: readonly Node[]) => nodes.reduce((sum, node) => sum + multiplyAdds(node), 0);
  return {
    layers: layers.all.map((layer) => ({
      policyName: nameOf(layer),
      block: blockOf.get(layer),
      name: layer.name,
      operator: operatorOf(layer.node),
      outputShape: bindShape(layer.output.shape?.slice(1) ?? [], 1),
      parameters: parametersOf([layer]),
      multiplyAdds: multiplyAdds(layer.node),
      trainedParameters: sizeOf(layer.parameters.filter(({ name }) => trained.get(layer.name)?.has(name))),
      trained: trained.has(layer.name),
    })),
    parameters: parametersOf(layers.all),
    multiplyAdds: macs(graph.nodes),
    imageSize,
    blocks: blocks.length,
    task,
    classes,
    batch: options.batch,
    ...(compiled
      ? {
          policy: {
            name: compiled.manifest.policy,
            ...compiled.manifest.cost,
            boundary: compiled.manifest.boundary,
            notes: compiled.manifest.notes,
            warnings: compiled.manifest.warnings,
          },
        }
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
