import { mixesPhotos, variesPhotos } from '../data/augment/augmentation.js';
import { imagesOf } from './budget.js';
import type { Candidate, Candidates, SearchPlan } from './candidates.js';
import { decide, type Decision, type Standing } from './decision.js';
import type { RaceResult } from './race.js';
import type { PolicyReport, Recommendation } from './recommendation.js';
import { percent, points, times } from './wordsForNumbers.js';

const TOLERANCE = 0.01;

/** What is told of a policy that could not be compiled within the limits. */
const UNKNOWN = {
  trainableParameters: null,
  accuracy: null,
  interval: null,
  trainedShare: null,
  seeds: 0,
  predictedMs: null,
  memoryBytes: null,
  energyJ: null,
  regret: null,
  nearBest: null,
} as const;

/** What a search has found. */
export interface SearchResult {
  readonly candidates: Candidates;
  /** The candidates that were inside the limits before the race. */
  readonly inside: readonly Candidate[];
  /** Absent where one policy alone is inside the limits. */
  readonly race: RaceResult | undefined;
  /** Whether joules are an estimate; null where there are none. */
  readonly energyEstimated: boolean | null;
  /** When the search began, in milliseconds of `performance.now()`. */
  readonly began: number;
}

/** What was decided, and between whom. */
interface Judged extends SearchResult {
  readonly plan: SearchPlan;
  readonly tolerance: number;
  readonly decision: Decision | undefined;
  readonly chosen: Candidate;
}

/** Chooses a policy, and tells why. @throws UserError `no-policy-fits` where the only one has diverged. */
export function conclude(plan: SearchPlan, found: SearchResult): Recommendation {
  const { candidates, inside, race } = found;
  const { tolerance = TOLERANCE, seed = 0 } = plan.options;
  const decision = race && decide(race.evidence, { tolerance, seed });
  const chosen = inside[decision?.chosen ?? 0];
  if (!chosen) throw new Error('a policy is chosen');
  if (chosen.exceeds !== undefined) throw candidates.nothingFits();
  const judged = { ...found, plan, tolerance, decision, chosen };
  const reports = candidates.all.map((candidate) => reportOn(candidate, judged));
  const refused = [...candidates.refused].map(([policy, verdict]): PolicyReport => ({ ...UNKNOWN, policy, verdict }));
  return {
    task: plan.settings.task,
    policy: chosen.trial.settings.policy,
    reason: reasonFor(judged, reports),
    confidence: standingOf(chosen, judged)?.nearBest ?? 1,
    policies: [...reports, ...refused],
    epochs: plan.settings.epochs,
    tolerance,
    trainedPhotos: race?.pool ?? 0,
    heldOutPhotos: race?.heldOut ?? 0,
    energyEstimated: found.energyEstimated,
    elapsedMs: performance.now() - found.began,
    sweepMs: candidates.sweepMs,
    notes: notesOn(judged),
  };
}

function standingOf(candidate: Candidate, { decision, inside }: Judged): Standing | undefined {
  return decision?.standings[inside.indexOf(candidate)];
}

function reportOn(candidate: Candidate, judged: Judged): PolicyReport {
  const { candidates, race, plan } = judged;
  const { trial, predictedMs, memoryBytes, exceeds } = candidate;
  const standing = standingOf(candidate, judged);
  const trainedImages =
    candidate === candidates.all[0] ? (race?.pool ?? 0) * plan.settings.epochs : imagesOf(race?.length);
  return {
    policy: trial.settings.policy,
    trainableParameters: trial.manifest.cost.trainableParameters,
    accuracy: standing?.accuracy ?? null,
    interval: standing?.interval ?? null,
    trainedShare: race && standing ? trainedImages / race.evidence.wholeImages : null,
    seeds: standing ? (race?.seeds ?? 0) : 0,
    predictedMs,
    memoryBytes,
    energyJ: candidates.energyOf(candidate),
    regret: standing?.regret ?? null,
    nearBest: standing?.nearBest ?? null,
    verdict: exceeds ?? verdictOn(candidate, judged),
  };
}

function verdictOn(candidate: Candidate, judged: Judged): string {
  const { chosen } = judged;
  const [own, best] = [standingOf(candidate, judged), standingOf(chosen, judged)];
  if (candidate === chosen) return 'chosen';
  if (!own || !best) return 'not tried';
  const gain = own.accuracy - best.accuracy;
  const ratio = candidate.predictedMs / chosen.predictedMs;
  if (ratio < 1) return `${points(gain)} less accurate`;
  if (gain > 0) return `gains ${points(gain)} for ${times(ratio)} the time`;
  return `no more accurate, for ${times(ratio)} the time`;
}

function reasonFor({ candidates, inside, chosen, decision, tolerance }: Judged, reports: PolicyReport[]): string {
  const limits = reports.length > inside.length || candidates.refused.size > 0 ? ' of those inside the limits' : '';
  const name = chosen.trial.settings.policy;
  if (!decision) return `${name} is the only policy inside the limits`;
  const best = inside[decision.best];
  const { regret = null } = reports.find(({ policy }) => policy === name) ?? {};
  const cheaper = reports
    .filter((each) => each.accuracy !== null && (each.predictedMs ?? 0) < chosen.predictedMs && each.policy !== name)
    .toSorted((a, b) => (b.accuracy ?? 0) - (a.accuracy ?? 0))[0];
  const against = cheaper ? `; the best of the cheaper ones, ${cheaper.policy}, is ${cheaper.verdict}` : '';
  const rule =
    regret === null || regret > tolerance
      ? `is expected to lose least${limits}, though more than ${points(tolerance)}`
      : `is the cheapest${limits} that is expected to lose no more than ${points(tolerance)} against the most accurate`;
  if (!best || best === chosen) return `${name} ${rule}, and looks the most accurate itself${against}`;
  const verdict = reports.find(({ policy }) => policy === best.trial.settings.policy)?.verdict ?? '';
  return `${name} ${rule}; ${best.trial.settings.policy} ${verdict}${against}`;
}

function notesOn({ race, plan, energyEstimated }: Judged): string[] {
  const { augmentation, learningRate } = plan.settings;
  const notes: string[] = [];
  const trainedShare = race ? imagesOf(race.length) / race.evidence.wholeImages : 1;
  if (race && trainedShare < 0.5)
    notes.push(
      `extrapolated: all but F1C0 were trained on ${percent(trainedShare)} of the images of the whole training${race.evidence.curve ? ', and their errors are taken to go on falling alike' : ''}`,
    );
  if (race?.seeds === 1)
    notes.push(
      'one seed: what another would change is only in the intervals as far as policies are taken to learn unlike',
    );
  if (variesPhotos(augmentation) || mixesPhotos(augmentation))
    notes.push('the short trainings leave augmentation out; the predicted times have it in');
  if (learningRate === 'auto')
    notes.push('the short trainings take the default learning rates, and the range test is left to the whole training');
  if (energyEstimated === true) notes.push('joules are estimated from CPU seconds, not measured');
  return notes;
}
