import type { Photo } from '../data/photo.js';
import type { Candidate, SearchPlan } from './candidates.js';
import type { UnitCosts } from './trial.js';

/** Held-out photos: with 1,200 the difference of two policies that disagree on 20 % of them is known to 1.3 points. */
const HELD_OUT = 2000;
/** Fewer are taken only where there are no more. */
const LEAST_HELD_OUT = 100;
const HELD_OUT_SHARE = 0.25;
/** Shares of what is left to spend: at most that much on reading photos to train on, and on those held out with their evaluations. */
const FEATURES_SHARE = 0.5;
const EVALUATION_SHARE = 0.25;
/** A training of fewer steps says nothing. */
const LEAST_STEPS = 4;
/** Seeds of trainings that are as long as they can be. */
const MOST_SEEDS = 3;
/** What the shorter training of the curve has of the images of the longer ones. */
const CURVE_SHARE = 0.25;

/** How long a short training is. */
export interface Length {
  readonly photos: number;
  readonly epochs: number;
}

/** The candidates that take part in a race. */
export interface Field {
  /** F1C0, a head alone. */
  readonly head: Candidate;
  /** The candidates inside the limits, which may be without the head. */
  readonly inside: readonly Candidate[];
}

export const imagesOf = (length: Length | undefined): number => (length ? length.photos * length.epochs : 0);

export const sumOf = (candidates: readonly Candidate[], costOf: (costs: UnitCosts) => number): number =>
  candidates.reduce((sum, { costs }) => sum + costOf(costs), 0);

/** All but the head alone. */
const costlyOf = ({ head, inside }: Field) => inside.filter((each) => each !== head);

/** Chooses the photos that `leftMs` pays for: some to train on, and behind those some to be held out. */
export function choosePhotos(
  { photos, settings }: SearchPlan,
  field: Field,
  mostFeaturesMs: number,
  leftMs: number,
): { readonly chosen: Photo[]; readonly heldOutFrom: number } {
  const heldOutMs = mostFeaturesMs + sumOf(field.inside, ({ evaluationMs }) => evaluationMs);
  const heldOut = Math.min(
    HELD_OUT,
    Math.floor(photos.length * HELD_OUT_SHARE),
    Math.max(LEAST_HELD_OUT, Math.floor((EVALUATION_SHARE * leftMs) / heldOutMs)),
  );
  // Each is to be trained on once at least.
  const stepMs = sumOf(costlyOf(field), (costs) => costs.stepMs);
  const affordable = Math.min(
    (FEATURES_SHARE * leftMs) / mostFeaturesMs,
    (leftMs - heldOut * heldOutMs) / (mostFeaturesMs + stepMs),
  );
  const least = LEAST_STEPS * settings.batch;
  const pool = Math.min(photos.length - heldOut, Math.max(least, Math.floor(affordable)));
  return { chosen: [...photos.slice(0, pool), ...photos.slice(photos.length - heldOut)], heldOutFrom: pool };
}

/** Tells how long all can be trained in `leftMs`, with how many seeds; and how long the shorter training of one, unless it would be too short. */
export function lengthsOf(
  { settings }: SearchPlan,
  field: Field,
  { pool, heldOut }: { readonly pool: number; readonly heldOut: number },
  leftMs: number,
): { readonly long: Length; readonly short: Length | undefined; readonly seeds: number } {
  const { batch, epochs } = settings;
  const costly = costlyOf(field);
  const most = pool * epochs;
  const least = Math.min(LEAST_STEPS * batch, most);
  const headMs = field.head.costs.stepMs * most;
  const fixedMs = headMs + heldOut * sumOf(field.inside, ({ evaluationMs }) => evaluationMs);
  const imageMs = sumOf(costly, ({ stepMs }) => stepMs);
  const curveMs = CURVE_SHARE * (costly[0]?.costs.stepMs ?? 0);
  const images = Math.min(most, Math.max(least, (leftMs - fixedMs) / (imageMs + curveMs)));
  const seeds = images < most ? 1 : Math.max(1, Math.floor(leftMs / (fixedMs + imageMs * most)));
  // Photos that were not seen before say more than photos seen again.
  const lengthOf = (count: number) => {
    const passes = Math.max(1, Math.round(count / pool));
    return { photos: Math.min(pool, Math.ceil(count / passes)), epochs: passes };
  };
  const short = CURVE_SHARE * images >= least ? lengthOf(CURVE_SHARE * images) : undefined;
  return { long: lengthOf(images), short, seeds: Math.min(MOST_SEEDS, seeds) };
}
