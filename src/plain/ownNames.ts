/** Names of the other inputs and outputs of the training graph. */
export const STEP_INPUTS = {
  labels: 'labels',
  /** In place of labels, where targets are soft. */
  targets: 'targets',
  /** Each image's part in the mean loss. */
  shares: 'image_weights',
  step: 'step',
} as const;
export const STEP_OUTPUTS = { loss: 'loss', logits: 'logits' } as const;
/** Names of the scalars that loss scaling keeps: what the loss is multiplied by, and for how many steps that has not overflowed. */
export const LOSS_SCALING = { scale: 'loss_scale', steps: 'loss_scale_steps' } as const;
/** The frozen part's and the whole model's input: uint8 RGB pixels [N, H, W, 3]. */
export const PIXELS = 'pixels';
/** Names of an explaining model's further inputs and outputs. */
export const EXPLAIN = { chosen: 'chosen', logits: 'logits', heat: 'heat' } as const;

/** All of these: no value within a source model is called so. */
export const OWN_NAMES: ReadonlySet<string> = new Set([
  PIXELS,
  ...Object.values(STEP_INPUTS),
  ...Object.values(STEP_OUTPUTS),
  ...Object.values(EXPLAIN),
  ...Object.values(LOSS_SCALING),
]);
