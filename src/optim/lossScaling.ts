/** What the loss is multiplied by at first, and after how many steps without an overflow it doubles, as PyTorch's GradScaler has it. */
export const FIRST_LOSS_SCALE = 2 ** 16;
const GROWTH_STEPS = 2000;

/** The state of loss scaling: what the loss is multiplied by, and for how many steps that has not overflowed; an element each. */
export interface LossScaling {
  readonly scale: Float32Array;
  readonly steps: Float32Array;
}

/** Halves the scale where a gradient has overflowed, and doubles it after enough steps without (Micikevicius et al. 2018). */
export function moveLossScale({ scale, steps }: LossScaling, hasOverflowed: boolean): void {
  const taken = (steps[0] ?? 0) + 1;
  const grows = !hasOverflowed && taken === GROWTH_STEPS;
  scale[0] = (scale[0] ?? 0) * (hasOverflowed ? 0.5 : grows ? 2 : 1);
  steps[0] = hasOverflowed || grows ? 0 : taken;
}
