import { multiplyAdds } from '../graph/cost.js';
import { bindShape, type Node, type Value } from '../graph/graph.js';
import { type ModelFile } from '../onnx/model.js';
import { elementCount } from '../onnx/tensor.js';
import { type Block, findBlocks } from '../policy/blocks.js';
import type { Layer } from '../policy/layer.js';
import type { LayerTable } from '../policy/layers.js';
import { chooseLayers, type Policy } from '../policy/policy.js';
import { compile, type Compiled } from './compile.js';
import type { CompileOptions } from './compileOptions.js';
import { outputOf } from '../plain/oneResult.js';
import { plainForm } from '../plain/plainForm.js';
import type { Manifest } from './manifest.js';
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
  readonly output?: string | undefined;
  readonly hidden?: CompileOptions['hidden'];
  readonly head?: CompileOptions['head'];
  readonly batchNorm?: CompileOptions['batchNorm'];
}

export interface LayerReport {
  /** How a policy counts it, from the end: `F1`, `C2`; empty for a squeeze-excite gate, a normalization and other parameters. */
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
  /** How many it trains beside them, in an adapter. */
  readonly adapterParameters: number;
  readonly trained: boolean;
}

/** A tensor of floating point that was not taken for a parameter. */
export interface BufferReport {
  readonly name: string;
  readonly shape: readonly number[];
  /** What it was taken for. */
  readonly reason: string;
}

export interface InspectReport {
  readonly layers: readonly LayerReport[];
  /** Tensors of several numbers that no policy trains, by what they were taken for. */
  readonly buffers: readonly BufferReport[];
  /** Parameters that only `full`, and `layers:` by their names, train. */
  readonly onlyByName: readonly string[];
  readonly parameters: number;
  readonly multiplyAdds: number;
  /** Height and width in pixels. */
  readonly imageSize: readonly [number, number];
  readonly blocks: number;
  /** Whether it has classes, or labels of which an image may have any number. */
  readonly task: Task;
  readonly classes: number;
  readonly batch: number;
  /** What was changed of the model, so that it can be trained, and what of that had better be known. */
  readonly notes: readonly string[];
  readonly warnings: readonly string[];
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
  const { graph, layers, imageSize, logits, ending } = classifierOf(model, { ...options, usual });
  const { notes, warnings } = plainForm(model.proto, model.path, outputOf(model.proto, options));
  const task = taskOf(model, ending?.op === 'Sigmoid' || ending?.op === 'HardSigmoid');
  const blocks = findBlocks(graph, layers);
  const width = logits.shape?.at(-1);
  const classes = options.classes ?? (typeof width === 'number' ? width : 2);
  const compiled = compiledFor(model, options, { task, classes });
  const adapterSizes = sizesOfAdapters(compiled?.manifest);
  const trained = new Map(compiled?.manifest.layers.map(({ name, parameters }) => [name, new Set(parameters)]));
  const blockOf = new Map(
    blocks.flatMap((block, index) => block.layers.map((layer) => [layer, blocks.length - index] as const)),
  );
  const nameOf = (layer: Layer): string => {
    const among = layer.kind === 'fc' ? layers.fcs : layers.convs;
    // All heads are the last fully connected layer.
    const index = layers.heads.includes(layer) ? among.length - 1 : among.indexOf(layer);
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
      adapterParameters: [...(trained.get(layer.name) ?? [])].reduce(
        (sum, name) => sum + (adapterSizes.get(name) ?? 0),
        0,
      ),
      trained: trained.has(layer.name),
    })),
    buffers: layers.buffers.map(({ value, reason }) => ({
      name: value.name,
      shape: bindShape(value.shape ?? [], 1),
      reason,
    })),
    onlyByName: onlyByName(layers, blocks),
    parameters: parametersOf(layers.all),
    multiplyAdds: macs(graph.nodes),
    imageSize,
    blocks: blocks.length,
    task,
    classes,
    batch: options.batch,
    notes,
    warnings,
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

/** What the policy makes of the model, where one was asked for. */
function compiledFor(
  model: ModelFile,
  options: InspectOptions,
  { task, classes }: Pick<InspectReport, 'task' | 'classes'>,
): Compiled | undefined {
  const { policy, batch, size, output, hidden, head, batchNorm } = options;
  if (policy === undefined) return undefined;
  return compile(model, {
    ...{ policy, task, batch },
    classes: Array.from({ length: classes }, (_, index) => String(index)),
    ...(size ? { size } : {}),
    ...(output === undefined ? {} : { output }),
    ...(hidden ? { hidden } : {}),
    ...(head === undefined ? {} : { head }),
    ...(batchNorm ? { batchNorm } : {}),
    preprocessing: 'unit',
    warmStart: false,
  });
}

/** Parameters that no policy trains but `full`, and `layers:` by their names. */
function onlyByName(layers: LayerTable, blocks: readonly Block[]): string[] {
  const deepest: Policy[] = [
    { kind: 'last', fcs: 'all', convs: layers.convs.length },
    { kind: 'bias' },
    ...(blocks.length > 0 ? [{ kind: 'blocks', count: blocks.length } as const] : []),
  ];
  const reached = new Set(
    deepest.flatMap((policy) =>
      chooseLayers(policy, layers, blocks).layers.flatMap(({ parameters }) => parameters.map(({ name }) => name)),
    ),
  );
  const names = layers.all.flatMap(({ parameters }) => parameters.map(({ name }) => name));
  return [...new Set(names)].filter((name) => !reached.has(name));
}

/** How large the matrices of adapters are, by their names. */
function sizesOfAdapters(manifest: Pick<Manifest, 'adapters' | 'parameters'> | undefined): Map<string, number> {
  const names = new Set(manifest?.adapters.flatMap(({ a, b }) => [a, b]));
  const found = manifest?.parameters.filter(({ name }) => names.has(name)) ?? [];
  return new Map(found.map(({ name, shape }) => [name, elementCount(shape)]));
}

/** `Conv 3×3`, `Conv 5×5 depthwise`, `Gemm`. */
function operatorOf(node: Node): string {
  if (node.op !== 'Conv') return node.op;
  const weight = bindShape(node.inputs[1]?.shape ?? [], 1);
  const group = node.int('group', 1);
  const suffix = group === 1 ? '' : weight[1] === 1 ? ' depthwise' : ` in ${group} groups`;
  return `Conv ${weight.slice(2).join('×')}${suffix}`;
}
