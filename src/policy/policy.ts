import { UserError } from '../errors.js';
import { nearestNames } from '../nearestNames.js';
import { type Block, describeBlock, layersFromBlock } from './blocks.js';
import { matchesGlob } from './glob.js';
import type { Layer } from './layer.js';
import type { LayerChoice } from './layerChoice.js';
import type { LayerTable } from './layers.js';
import { besideMatrices, type LoraPolicy, parseLora, showLora } from './loraPolicy.js';

/** What trains. */
export type Policy =
  /** The last `fcs` FC layers and the last `convs` conv layers, and normalizations that stand alone behind one of these. */
  | { readonly kind: 'last'; readonly fcs: number | 'all'; readonly convs: number }
  | { readonly kind: 'full' }
  /** Biases and the shifts of normalizations (TinyTL: Cai et al. 2020), and the head. */
  | { readonly kind: 'bias' }
  /** What fits one of these globs by its layer's or its parameter's name, and the head. */
  | { readonly kind: 'layers'; readonly globs: readonly string[] }
  /** The last `count` blocks and every layer behind them. */
  | { readonly kind: 'blocks'; readonly count: number }
  | LoraPolicy;

/** Policies by the words that people try. */
const OTHER_NAMES: ReadonlyMap<string, string> = new Map([
  ['head', 'F1C0'],
  ['last', 'F1C1'],
  ['all', 'full'],
]);

/**
 * Reads a policy: `F1C2` (the last FC layer and the last two convolutions), `FxC1` (all FC layers and one), `full`, `bias`,
 * `blocks:2`, `layers:*conv4*,fc1`, `lora:8`; also `head` (F1C0), `last` (F1C1) and `all` (`full`).
 * @throws UserError `bad-policy`.
 */
export function parsePolicy(source: string): Policy {
  const word = source.toLowerCase();
  const name = OTHER_NAMES.get(word)?.toLowerCase() ?? word;
  if (name === 'full' || name === 'bias') return { kind: name };
  const blocks = /^blocks:(\d+)$/.exec(name);
  if (blocks && Number(blocks[1]) > 0) return { kind: 'blocks', count: Number(blocks[1]) };
  const lora = parseLora(name);
  if (lora) return lora;
  if (name.startsWith('lora'))
    throw new UserError(
      'bad-policy',
      `expected a policy such as lora:8, lora:8:16 with alpha, or lora:8@2 in the last two blocks, all of them numbers above 0 and the rank a whole one, got "${source}" (‹policy›)`,
    );
  if (name.startsWith('layers:')) {
    const globs = source
      .slice('layers:'.length)
      .split(',')
      .map((glob) => glob.trim());
    if (globs.every((glob) => glob !== '')) return { kind: 'layers', globs };
  }
  const match = /^f(\d+|x)c(\d+)$/.exec(name);
  const fcs = match?.[1] === 'x' ? 'all' : Number(match?.[1] ?? 0);
  if (!match || fcs === 0) {
    throw new UserError(
      'bad-policy',
      `expected a policy such as F1C0, F1C1, F2C3, FxC1, blocks:2, bias, lora:8, layers:<names, * for any characters> or full, got "${source}" (‹policy›)`,
    );
  }
  return { kind: 'last', fcs, convs: Number(match[2]) };
}

export function showPolicy(policy: Policy): string {
  switch (policy.kind) {
    case 'last':
      return `F${policy.fcs === 'all' ? 'x' : policy.fcs}C${policy.convs}`;
    case 'blocks':
      return `blocks:${policy.count}`;
    case 'lora':
      return showLora(policy);
    case 'layers':
      return `layers:${policy.globs.join(',')}`;
    default:
      return policy.kind;
  }
}

/** A policy's name where it becomes part of a file's: `layers:/conv4/*` is `layers-conv4-`. */
export function policyFileName(policy: string): string {
  return policy.replace(/[^\w.]+/g, '-');
}

/**
 * The layers that `policy` trains.
 * @throws UserError `bad-policy` when it asks for what the model does not have.
 */
export function chooseLayers(policy: Policy, table: LayerTable, blocks: readonly Block[]): LayerChoice {
  const { all, heads } = table;
  const plain = (layers: readonly Layer[]): LayerChoice => ({
    layers: headsLast(layers, heads),
    notes: [],
    warnings: cutBlocks(policy, layers, table, blocks),
  });
  switch (policy.kind) {
    case 'full':
      return plain(all);
    case 'last':
      return plain(lastLayers(policy, table));
    case 'blocks':
      return plain(layersFromBlock(blocks, policy.count, all));
    case 'bias':
      return biases(table);
    case 'lora':
      return besideMatrices(policy, table, blocks);
    case 'layers': {
      const named = layersNamed(policy.globs, all);
      const isWhole = (head: Layer) =>
        named.some(({ node, parameters }) => node === head.node && parameters.length === head.parameters.length);
      const added = heads.filter((head) => !isWhole(head));
      return { ...plain(named), notes: added.map(headNote) };
    }
  }
}

/** All heads wholly, for they are new, behind the other layers. */
function headsLast(layers: readonly Layer[], heads: readonly Layer[]): Layer[] {
  const isHead = ({ node }: Layer) => heads.some((head) => head.node === node);
  return [...layers.filter((layer) => !isHead(layer)), ...heads];
}

function lastLayers(policy: Extract<Policy, { kind: 'last' }>, { convs, fcs, all }: LayerTable): Layer[] {
  const fcCount = policy.fcs === 'all' ? fcs.length : policy.fcs;
  if (fcCount > fcs.length || policy.convs > convs.length) {
    const nearest = showPolicy({
      kind: 'last',
      fcs: Math.min(fcCount, fcs.length),
      convs: Math.min(policy.convs, convs.length),
    });
    throw new UserError(
      'bad-policy',
      `policy ${showPolicy(policy)} asks for ${fcCount} FC and ${policy.convs} conv layers, but the model has ${fcs.length} and ${convs.length}; choose ${nearest} or full (‹policy›)`,
    );
  }
  const trained = convs.slice(convs.length - policy.convs);
  const chosen = new Set([...trained, ...fcs.slice(fcs.length - fcCount)]);
  return all.filter((layer) => chosen.has(layer) || (layer.kind === 'norm' && isBehind(layer.node.input(0), trained)));
}

/** Whether a value is computed from the result of any of `layers`. */
function isBehind(value: Layer['output'], layers: readonly Layer[]): boolean {
  const results = new Set(layers.map(({ output }) => output));
  const sources = new Set([value]);
  for (const source of sources) {
    if (results.has(source)) return true;
    for (const input of source.producer?.inputs ?? []) if (input) sources.add(input);
  }
  return false;
}

const headNote = ({ name }: Layer) => `the head "${name}" trains wholly too: its weights are new`;

/** Every layer's bias, or the shift of its normalization where it has one, which makes a bias redundant. */
function biases({ all, heads }: LayerTable): LayerChoice {
  const shifted = all.flatMap((layer): Layer[] =>
    layer.shift && !heads.includes(layer) ? [{ ...layer, parameters: [layer.shift] }] : [],
  );
  const warnings =
    shifted.length > 0
      ? []
      : ['no layer before the head has a bias or a normalization; policy bias trains what F1C0 does'];
  return { layers: [...shifted, ...heads], notes: heads.map(headNote), warnings };
}

/** Layers whose name fits one of the globs, and of others the parameters whose name does. */
function layersNamed(globs: readonly string[], all: readonly Layer[]): Layer[] {
  const used = new Set<string>();
  const fits = (name: string): boolean => {
    const fitting = globs.filter((glob) => matchesGlob(glob, name));
    for (const glob of fitting) used.add(glob);
    return fitting.length > 0;
  };
  const layers = all.flatMap((layer): Layer[] => {
    const named = layer.parameters.filter(({ name }) => fits(name));
    if (fits(layer.name)) return [layer];
    return named.length > 0 ? [{ ...layer, parameters: named }] : [];
  });
  const unused = globs.find((glob) => !used.has(glob));
  if (unused !== undefined) {
    const names = all.flatMap(({ name, parameters }) => [name, ...parameters.map((each) => each.name)]);
    const near = nearestNames(unused, [...new Set(names)], 3).map((name) => `"${name}"`);
    throw new UserError(
      'bad-policy',
      `no layer or parameter is called "${unused}"; near it are ${near.join(', ')}, and ort-tl inspect lists all layers (‹policy›)`,
    );
  }
  return layers;
}

/** A block of which some convolutions train and others do not: its shortcut goes on carrying what its layers no longer expect. */
function cutBlocks(
  policy: Policy,
  layers: readonly Layer[],
  { convs, fcs }: LayerTable,
  blocks: readonly Block[],
): string[] {
  const trained = new Set(layers.map(({ node }) => node));
  const onPath = new Set([...convs, ...fcs]);
  const isCut = (block: Block) => {
    const count = block.layers.filter((layer) => onPath.has(layer));
    const training = count.filter(({ node }) => trained.has(node));
    return training.length > 0 && training.length < count.length;
  };
  const index = blocks.findIndex(isCut);
  const block = blocks[index];
  if (!block) return [];
  const nearest = [`blocks:${blocks.length - index} trains it wholly`];
  if (policy.kind === 'last') {
    const first = convs.findIndex((layer) => block.layers.includes(layer));
    // Gates and normalizations that stand alone are not counted.
    const isCounted = block.layers.every((layer) => onPath.has(layer));
    if (first >= 0)
      nearest.push(
        `${showPolicy({ ...policy, convs: convs.length - first })}${isCounted ? ' too' : ' its convolutions'}`,
      );
  }
  return [
    `policy ${showPolicy(policy)} trains a part of block ${blocks.length - index} from the end (${describeBlock(block)}), and a block is best trained wholly or not at all; ${nearest.join(', ')}`,
  ];
}
