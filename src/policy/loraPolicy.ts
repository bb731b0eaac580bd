import { UserError } from '../errors.js';
import type { Block } from './blocks.js';
import type { Layer } from './layer.js';
import type { LayerChoice } from './layerChoice.js';
import type { LayerTable } from './layers.js';
import { findMatrices } from './matrices.js';

/** Matrices stay as they are, and beside each trains a product of two small ones (LoRA: Hu et al. 2021), and the head. */
export interface LoraPolicy {
  readonly kind: 'lora';
  /** What the two matrices have in common: rows of the one, columns of the other. */
  readonly rank: number;
  /** Their product counts alpha / rank times. */
  readonly alpha: number;
  /** Of how many blocks from the end; absent for all. */
  readonly blocks?: number;
}

/** Where alpha is not named it is twice the rank: the product counts twice, whatever the rank is. */
const USUAL_SCALE = 2;
const FORM = /^lora:(\d+)(?::(\d+(?:\.\d+)?))?(?:@(\d+))?$/;

/** Reads `lora:8`, `lora:8:16` (rank and alpha), `lora:8@4` (the last four blocks); undefined for anything else. */
export function parseLora(name: string): LoraPolicy | undefined {
  const [, rankText, alphaText, blocksText] = FORM.exec(name) ?? [];
  if (rankText === undefined) return undefined;
  const rank = Number(rankText);
  const alpha = alphaText === undefined ? USUAL_SCALE * rank : Number(alphaText);
  const blocks = blocksText === undefined ? undefined : Number(blocksText);
  const isUsable = Number.isSafeInteger(rank) && rank > 0 && alpha > 0 && Number.isFinite(alpha) && blocks !== 0;
  return isUsable ? { kind: 'lora', rank, alpha, ...(blocks === undefined ? {} : { blocks }) } : undefined;
}

export function showLora({ rank, alpha, blocks }: LoraPolicy): string {
  const scale = alpha === USUAL_SCALE * rank ? '' : `:${alpha}`;
  return `lora:${rank}${scale}${blocks === undefined ? '' : `@${blocks}`}`;
}

/**
 * The layers that get adapters, each with its matrix alone, and the heads.
 * @throws UserError `bad-policy` for a model without such matrices, or without so many blocks, and for a rank larger than all of them.
 */
export function besideMatrices(policy: LoraPolicy, table: LayerTable, blocks: readonly Block[]): LayerChoice {
  const name = showLora(policy);
  const isChosen = withinBlocks(policy, table, blocks);
  const { matrices, others } = findMatrices(table, blocks);
  const chosen = matrices.filter(isChosen);
  if (chosen.length === 0)
    throw new UserError(
      'bad-policy',
      matrices.length === 0
        ? `policy ${name} trains beside the matrices of attention and perceptrons, and the model has none before its head; choose a policy such as F1C1, blocks:1 or full (‹policy›)`
        : `policy ${name} trains beside the matrices of the last blocks, and they have none; choose more blocks, or lora:${policy.rank} (‹policy›)`,
    );
  const largest = Math.max(...chosen.map(({ inputs, outputs }) => Math.min(inputs, outputs)));
  if (policy.rank > largest)
    throw new UserError(
      'bad-policy',
      `policy ${name} asks for a rank of ${policy.rank}, and no matrix has more than ${largest}; choose a smaller rank, such as lora:8 (‹policy›)`,
    );
  const left = others.filter((layer) => isChosen({ layer }));
  return {
    layers: [...chosen.map(({ layer, weight }) => ({ ...layer, parameters: [weight] })), ...table.heads],
    notes: [noteOf(policy, chosen.length)],
    warnings: left.map(
      (layer) =>
        `"${layer.name}" (${layer.node.op}) stays as it is: adapters stand beside matrices of MatMul, Gemm and Conv that are tensors of the model, also transposed`,
    ),
    lora: { policy, matrices: chosen },
  };
}

function noteOf({ rank, alpha }: LoraPolicy, count: number): string {
  const products = count === 1 ? '1 matrix, whose product counts' : `${count} matrices, whose products count`;
  return `adapters of rank ${rank} beside ${products} alpha / rank = ${Number((alpha / rank).toPrecision(4))} times; the tuned model has them merged`;
}

function withinBlocks(policy: LoraPolicy, { all }: LayerTable, blocks: readonly Block[]) {
  const { blocks: count } = policy;
  if (count === undefined) return () => true;
  const first = blocks.at(-count)?.layers[0];
  if (!first)
    throw new UserError(
      'bad-policy',
      `policy ${showLora(policy)} asks for ${count} blocks, but the model has ${blocks.length}; choose ${showLora({ ...policy, blocks: Math.max(1, blocks.length) })} or lora:${policy.rank} (‹policy›)`,
    );
  const from = all.indexOf(first);
  return ({ layer }: { readonly layer: Layer }) => all.indexOf(layer) >= from;
}
