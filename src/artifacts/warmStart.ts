import { UserError } from '../errors.js';
import { elementCount } from '../onnx/tensor.js';
import { metadataOf, type ModelFile } from '../onnx/model.js';
import type { FilledOptions } from './compileOptions.js';
import { readLabels } from './labelsMetadata.js';
import { METADATA } from './manifest.js';

/** What the head of a tuned model has learned and a training goes on from. */
export interface WarmStart {
  /** For each class that the model knows, by its number now: its number in the model, whose row of weights it keeps. */
  readonly rows: ReadonlyMap<number, number>;
  /** How many classes the model tells apart. */
  readonly known: number;
  /** Which classes keep what was learned, which are new, and which of the model's are gone. */
  readonly notes: readonly string[];
}

/** Nothing that was learned before. */
const COLD: WarmStart = { rows: new Map(), known: 0, notes: [] };
/** Names that a line shows. */
const SHOWN = 5;

/**
 * What a training goes on from: nothing, unless `model` was tuned by ort-tl, since the labels of any other are a matter of
 * chance. @throws UserError `bad-labels` as {@link readLabels} does.
 */
export function warmStartOf(model: ModelFile, { classes, hidden, head, warmStart }: FilledOptions): WarmStart {
  const metadata = metadataOf(model.proto);
  const text = metadata.get(METADATA.labels);
  if (!warmStart || text === undefined || !metadata.has(METADATA.policy)) return COLD;
  if (hidden.length > 0)
    return { ...COLD, notes: ['hidden layers are new, so what the head has learned is left behind'] };
  if (head !== undefined)
    return { ...COLD, notes: ['the head is new, so what the old one has learned is left behind'] };
  const labels = readLabels(text, model.path);
  const places = new Map(labels.map((label, index) => [label, index]));
  const rows = new Map(
    classes.flatMap((label, index) => {
      const place = places.get(label);
      return place === undefined ? [] : [[index, place] as const];
    }),
  );
  if (rows.size === 0) return COLD;
  const kept = classes.filter((_, index) => rows.has(index));
  const now = new Set(classes);
  return {
    rows,
    known: labels.length,
    notes: [
      [
        kept.length > 0
          ? `goes on from what the head knows of ${inWords(kept)}`
          : 'no class is one that the model knows',
        ...sentence(
          'new',
          classes.filter((_, index) => !rows.has(index)),
        ),
        ...sentence(
          'no longer there',
          labels.filter((label) => !now.has(label)),
        ),
      ].join('; '),
    ],
  };
}

const sentence = (what: string, names: readonly string[]) => (names.length > 0 ? [`${what}: ${inWords(names)}`] : []);

const inWords = (names: readonly string[]) =>
  names.length > SHOWN ? `${names.length} classes (${names.slice(0, SHOWN).join(', ')}, …)` : names.join(', ');

/** A tensor that has a row for each class along one of its axes. */
export interface RowsOfClasses {
  readonly data: ArrayLike<number>;
  readonly dims: readonly number[];
}

/**
 * Puts rows that were learned among fresh ones, along axis `axis`.
 * @throws UserError `bad-labels` where the model names another number of classes than it has.
 */
export function keepRows(
  fresh: RowsOfClasses & { readonly data: Float32Array },
  learned: RowsOfClasses,
  axis: number,
  { rows, known }: WarmStart,
): void {
  if (rows.size === 0) return;
  const [now, before] = [fresh.dims[axis] ?? 1, learned.dims[axis] ?? 1];
  if (known !== before)
    throw new UserError(
      'bad-labels',
      `the model names ${known} classes and tells ${before} apart, so nobody knows which is which; leave what it has learned behind (‹noWarmStart›)`,
    );
  const inner = elementCount(fresh.dims.slice(axis + 1));
  const outer = elementCount(fresh.dims.slice(0, axis));
  for (const [to, from] of rows)
    for (let block = 0; block < outer; block++)
      for (let at = 0; at < inner; at++)
        fresh.data[(block * now + to) * inner + at] = learned.data[(block * before + from) * inner + at] ?? 0;
}
