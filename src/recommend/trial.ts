import { join } from 'node:path';
import type { Manifest } from '../artifacts/manifest.js';
import { decoderVersion } from '../data/decode.js';
import type { Photo } from '../data/photo.js';
import { policyFileName } from '../policy/policy.js';
import { startCompiling } from '../train/compiler.js';
import { planningOf } from '../train/compileWithin.js';
import { type Settings, settingsOf, type TrainOptions } from '../train/trainOptions.js';
import type { SearchPlan } from './candidates.js';
import { type CompiledPolicy, OpenTrial } from './openTrial.js';

/** Photos that warm up the frozen part and the sessions, and photos on which they are timed. */
const WARM_UP_PHOTOS = 16;
const TIMED_PHOTOS = 32;
/** Steps are timed until there were so many of them, and they took so long together; the fastest counts, since others may use the machine. */
const TIMED_STEPS = 3;
const TIMED_MS = 100;

/** What a policy's training consists of, each in milliseconds. */
export interface UnitCosts {
  /** Compiling, and opening the sessions. */
  readonly setUpMs: number;
  /** For each photo, once: reading it and running the frozen part. */
  readonly featuresMs: number;
  /** For each photo and epoch. */
  readonly stepMs: number;
  /** For each photo that validates, after each epoch. */
  readonly evaluationMs: number;
}

/** A policy that is tried: its artifacts, in a folder of their own. It has nothing open. */
export class Trial {
  private constructor(
    private readonly policy: CompiledPolicy,
    private readonly compileMs: number,
  ) {}

  /**
   * Compiles the policy into `root`; photos that cannot be read go into `unread`.
   * @throws UserError `bad-policy`, `too-little-memory` where it does not fit, `stopped` when the options' signal fires, as all that is
   * done with it does.
   */
  static async compile(options: TrainOptions, { root, unread }: Pick<SearchPlan, 'root' | 'unread'>): Promise<Trial> {
    const began = performance.now();
    const { model, signal } = options;
    const compiling = await startCompiling(model, planningOf(options, settingsOf(options)), signal);
    try {
      const { settings } = compiling;
      const folder = join(root, policyFileName(settings.policy));
      const manifest = await compiling.write(folder);
      return new Trial({ manifest, settings, folder, signal, unread }, performance.now() - began);
    } finally {
      compiling.close();
    }
  }

  get manifest(): Manifest {
    return this.policy.manifest;
  }

  get settings(): Settings {
    return this.policy.settings;
  }

  /** Times each part of the policy's training on a few of the `photos`. */
  async measure(photos: readonly Photo[]): Promise<UnitCosts> {
    const began = performance.now();
    const few = photos.slice(0, WARM_UP_PHOTOS + TIMED_PHOTOS);
    // The parameters go with it.
    const open = await OpenTrial.open(this.policy, { slots: few.length });
    try {
      return await this.timeParts(open, few, this.compileMs + performance.now() - began);
    } finally {
      await open.close();
    }
  }

  /** Opens it with so many slots; features of photos are taken from the folder `cache`, and put there. To be closed. */
  open(slots: number, cache: string): Promise<OpenTrial> {
    return OpenTrial.open(this.policy, { slots, cache: { folder: cache, decoder: decoderVersion } });
  }

  private async timeParts(open: OpenTrial, photos: readonly Photo[], setUpMs: number): Promise<UnitCosts> {
    const warm = await open.fill(photos.slice(0, WARM_UP_PHOTOS), 0);
    const rest = photos.slice(WARM_UP_PHOTOS);
    let slots = warm;
    const fillMs = await timeOf(async () => {
      slots = [...warm, ...(await open.fill(rest, WARM_UP_PHOTOS))];
    });
    await open.step(slots, 1);
    const stepsMs: number[] = [];
    while (stepsMs.length < TIMED_STEPS || stepsMs.reduce((sum, ms) => sum + ms, 0) < TIMED_MS)
      stepsMs.push(await timeOf(() => open.step(slots, stepsMs.length + 2)));
    await open.evaluate(warm);
    const evaluationMs = await timeOf(() => open.evaluate(slots));
    return {
      setUpMs,
      featuresMs: fillMs / Math.max(1, rest.length),
      stepMs: Math.min(...stepsMs) / this.settings.batch,
      evaluationMs: evaluationMs / Math.max(1, slots.length),
    };
  }
}

async function timeOf(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}
