import { join } from 'node:path';
import { targetRows } from '../data/labels.js';
import type { Photo } from '../data/photo.js';
import { UserError } from '../errors.js';
import type { Tensor } from '../onnx/tensor.js';
import { Opened } from '../opened.js';
import { choosePhotos, type Field, imagesOf, type Length, lengthsOf, sumOf } from './budget.js';
import { type Candidate, type Candidates, checkStopped, type SearchPlan } from './candidates.js';
import { accuracyOf, type Evidence, type Outcome } from './decision.js';
import { headlineOf } from '../train/headline.js';
import { LabelRanking } from '../train/mapInterval.js';
import type { Metering } from './metering.js';
import type { Judged, OpenTrial } from './openTrial.js';
import type { RecommendEvent } from './recommendation.js';

/** What the short trainings were, and what came of them. */
export interface RaceResult {
  readonly evidence: Evidence;
  /** How long the longest training is. */
  readonly length: Length;
  readonly seeds: number;
  readonly pool: number;
  readonly heldOut: number;
}

/** What is spent: milliseconds that may be, and when that began. */
export interface Budget {
  readonly ms: number;
  readonly began: number;
}

/** Photos that every candidate has the features of, by their slots. */
interface Photos {
  /** The photos to train on. */
  readonly pool: readonly number[];
  readonly heldOut: readonly number[];
  /** The photo of each slot. */
  readonly known: readonly Photo[];
}

type Parameters = ReadonlyMap<string, Tensor>;

const costsOf = (candidates: readonly Candidate[]) => candidates.map(({ predictedMs }) => predictedMs);

/** Short trainings of the candidates inside the limits, all equally long, on the same photos. */
export class Race {
  /** The candidates' engines, with the photos' features. */
  private readonly trials = new Map<Candidate, OpenTrial>();
  private readonly opened = new Opened();
  private readonly field: Field;

  constructor(
    private readonly plan: SearchPlan,
    private readonly candidates: Candidates,
    private readonly metering: Metering,
  ) {
    const [head] = candidates.all;
    if (!head) throw new Error('F1C0 was measured');
    this.field = { head, inside: candidates.inside };
  }

  /**
   * Trains as long as the budget pays for. That is counted in the costs that were measured and not by the clock, so that other work on the
   * machine does not shorten it.
   * @throws UserError `stopped`, `diverged` where the head alone does.
   */
  async *run({ ms, began }: Budget): AsyncGenerator<RecommendEvent, RaceResult> {
    const { plan, field } = this;
    const measuredAt = performance.now();
    let leftMs = ms - (measuredAt - began);
    const mostFeaturesMs = Math.max(...this.candidates.all.map(({ costs }) => costs.featuresMs));
    const { chosen, heldOutFrom } = choosePhotos(plan, field, mostFeaturesMs, leftMs);
    try {
      const loaded = [...new Set([field.head, ...field.inside])];
      const readable = yield* this.load(loaded, chosen);
      leftMs -= Math.min(performance.now() - measuredAt, chosen.length * sumOf(loaded, ({ featuresMs }) => featuresMs));
      const photos = {
        pool: readable.filter((slot) => slot < heldOutFrom),
        heldOut: readable.filter((slot) => slot >= heldOutFrom),
        known: chosen,
      };
      const counts = { pool: photos.pool.length, heldOut: photos.heldOut.length };
      const lengths = lengthsOf(plan, field, counts, leftMs);
      const evidence = yield* this.trainAll(photos, lengths);
      return { ...counts, seeds: lengths.seeds, length: lengths.long, evidence };
    } finally {
      await this.opened.close();
    }
  }

  /** Opens the candidates with the features of `photos`; gives the slots of those that could be read. */
  private async *load(
    candidates: readonly Candidate[],
    photos: readonly Photo[],
  ): AsyncGenerator<RecommendEvent, number[]> {
    const total = candidates.length * photos.length;
    let readable = [...photos.keys()];
    // The deepest boundary first: the features of the others are computed from those.
    for (const [index, candidate] of candidates.toReversed().entries()) {
      checkStopped(this.plan.options);
      yield { type: 'progress', phase: 'reading photos', done: index * photos.length, total };
      const trial = await candidate.trial.open(photos.length, join(this.plan.root, 'cache'));
      this.trials.set(
        candidate,
        this.opened.add(trial, (each) => each.close()),
      );
      const filled = new Set(await trial.fill(photos, 0));
      await trial.releaseFrozen();
      readable = readable.filter((slot) => filled.has(slot));
      yield* this.plan.unread.take();
    }
    yield { type: 'progress', phase: 'reading photos', done: total, total };
    return readable;
  }

  private async *trainAll(
    photos: Photos,
    { long, short, seeds }: ReturnType<typeof lengthsOf>,
  ): AsyncGenerator<RecommendEvent, Evidence> {
    const { head, inside } = this.field;
    const { epochs } = this.plan.settings;
    const wholeImages = this.plan.options.dataset.train.length * epochs;
    const outcomes: Outcome[] = [];
    let curve: [Outcome, Outcome] | undefined;
    for (let index = 0; index < seeds; index++) {
      // A head alone costs next to nothing: it is trained to its end, and the others begin with it, so that a few steps show what the
      // layers behind it gain (Kumar et al. 2022).
      const trained = await this.train(head, photos, { photos: photos.pool.length, epochs }, index, new Map());
      const from = await this.trialOf(head).parameters();
      for (const candidate of inside) {
        const { event, judged } = candidate === head ? trained : await this.train(candidate, photos, long, index, from);
        const images = candidate === head ? wholeImages : imagesOf(long);
        const outcome = { candidate: inside.indexOf(candidate), images, ...judged };
        outcomes.push(outcome);
        yield event;
        if (candidate === head || index > 0 || curve || !short) continue;
        const shorter = await this.train(candidate, photos, short, index, from);
        curve = [{ ...outcome, images: imagesOf(short), ...shorter.judged }, outcome];
        yield shorter.event;
      }
    }
    return { outcomes, curve, wholeImages, costs: costsOf(inside) };
  }

  /** Trains a candidate once; number `index` of its trainings decides the seed. One that diverges is not to be chosen. */
  private async train(
    candidate: Candidate,
    { pool, heldOut, known }: Photos,
    { photos, epochs }: Length,
    index: number,
    from: Parameters,
  ): Promise<{ readonly event: RecommendEvent; readonly judged: Judged }> {
    const { options } = this.plan;
    checkStopped(options);
    const seed = (options.seed ?? 0) + index;
    const training = { photos: pool.slice(0, photos), epochs, seed, from, heldOut };
    const trial = this.trialOf(candidate);
    const work = () => trial.train(training, known);
    const judged = await this.metering.charge(candidate.spent, work).catch((thrown: unknown) => {
      // The others begin with the head.
      if (candidate === this.field.head || !(thrown instanceof UserError) || thrown.code !== 'diverged') throw thrown;
      candidate.exceeds = thrown.message;
      return this.nothingRight(heldOut, known);
    });
    const { policy } = candidate.trial.settings;
    const { metric } = headlineOf(candidate.trial.manifest.task);
    return { event: { type: 'trained', policy, photos, epochs, seed, [metric]: accuracyOf(judged) }, judged };
  }

  /** What a training is worth that has diverged. */
  private nothingRight(heldOut: readonly number[], known: readonly Photo[]): Judged {
    const { task, classes } = this.field.head.trial.manifest;
    if (task === 'classes') return { correct: heldOut.map(() => false) };
    const targets = targetRows(
      heldOut.flatMap((slot) => known[slot] ?? []),
      classes.length,
    );
    // Every label that is there comes last.
    return {
      ranking: new LabelRanking(
        targets.map((has) => -has),
        targets,
        classes.length,
      ),
    };
  }

  private trialOf(candidate: Candidate): OpenTrial {
    const trial = this.trials.get(candidate);
    if (!trial) throw new Error('the candidate is not open');
    return trial;
  }
}
