import { LOSS_SCALING, type Manifest } from '../artifacts/manifest.js';
import { Kernels } from '../optim/kernels/kernels.js';
import { moveLossScale } from '../optim/lossScaling.js';
import { updateRuleOf } from '../optim/optimizer.js';
import type { UpdateRule } from '../optim/optimizers/updateRule.js';
import { squaresOf, type Trained, updateAll } from '../optim/update.js';
import { type Arrays, arrayOf, type TrainingMemory } from './trainingMemory.js';

export interface UpdateStep {
  readonly learningRate: number;
  /** The number of the step, 1 for the first. */
  readonly step: number;
  /** What gradients are multiplied by. */
  readonly scale: number;
}

/** Updates some of the parameters, and what is kept of them, from the gradients of all sessions. */
export class StateUpdate {
  private readonly kernels: Kernels;
  private readonly rule: UpdateRule;
  private readonly trained: readonly Trained[];
  /** The gradients of other sessions than the first. */
  private readonly others: readonly Arrays[];

  /**
   * @param share the places of its parameters in the manifest.
   * @param proximal how strongly parameters are held near to the memory's anchors, 0 for not at all.
   */
  constructor(
    private readonly manifest: Manifest,
    private readonly training: TrainingMemory,
    private readonly share: readonly number[],
    private readonly proximal = 0,
  ) {
    const { state, gradients, memory } = training;
    const [sums = new Map<string, Float32Array>(), ...others] = gradients;
    this.kernels = new Kernels(memory);
    this.rule = updateRuleOf(manifest.optimizer);
    this.others = others;
    this.trained = this.entries.map(({ name, moments, average, learningRateMultiplier, decays }) => ({
      parameter: arrayOf(state, name),
      gradient: arrayOf(sums, name),
      moments: moments.map((moment) => arrayOf(state, moment)),
      average: average === undefined ? undefined : arrayOf(state, average),
      learningRateMultiplier,
      decays,
    }));
  }

  /**
   * Adds up the gradients of the first `sessions`, in their order: others have taken no part of this batch. Then adds what holds parameters
   * near to their anchors, which is a part of the loss: it is scaled and clipped as the rest of the gradient is.
   */
  addUp(sessions: number): void {
    const { kernels, proximal, training } = this;
    const pull = proximal * lossScaleOf(training);
    this.entries.forEach(({ name }, index) => {
      const { gradient, parameter } = this.trained[index] ?? {};
      if (!gradient || !parameter) return;
      for (const others of this.others.slice(0, sessions - 1)) {
        kernels.call('addTo', { sum: gradient, other: arrayOf(others, name) }, {});
      }
      if (pull > 0)
        kernels.call('proximal', { gradient, parameter, anchor: arrayOf(training.anchors, name) }, { pull });
    });
  }

  /** The sums of squares of its gradients. */
  squares(): number[] {
    return squaresOf(this.trained);
  }

  apply({ learningRate, step, scale }: UpdateStep): void {
    const { kernels, rule, manifest, trained } = this;
    updateAll(kernels, trained, { rule, learningRate, step, scale, averageDecay: manifest.averageDecay });
  }

  private get entries(): readonly Manifest['parameters'][number][] {
    return this.share.flatMap((index) => this.manifest.parameters[index] ?? []);
  }
}

/** What the loss is multiplied by; 1 where it is not scaled. */
export const lossScaleOf = ({ state }: TrainingMemory): number => state.get(LOSS_SCALING.scale)?.[0] ?? 1;

/** Moves the loss's scale, where there is one. */
export function settleLossScale({ state }: TrainingMemory, hasOverflowed: boolean): void {
  const [scale, steps] = [state.get(LOSS_SCALING.scale), state.get(LOSS_SCALING.steps)];
  if (scale && steps) moveLossScale({ scale, steps }, hasOverflowed);
}

/** Shares parameters of so many elements out among sessions, whole ones, so that each has about as much: their places, for each session. */
export function shareOut(sizes: readonly number[], sessions: number): number[][] {
  const shares = Array.from({ length: sessions }, () => ({ places: [] as number[], elements: 0 }));
  const largestFirst = [...sizes.keys()].sort((a, b) => (sizes[b] ?? 0) - (sizes[a] ?? 0) || a - b);
  for (const place of largestFirst) {
    const least = shares.reduce((one, other) => (other.elements < one.elements ? other : one));
    least.places.push(place);
    least.elements += sizes[place] ?? 0;
  }
  return shares.map(({ places }) => places.sort((a, b) => a - b));
}
