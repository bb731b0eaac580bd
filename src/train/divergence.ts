import { loadArtifacts } from '../artifacts/load.js';
import { UserError } from '../errors.js';
import { allFinite, nonFiniteIn } from '../finite.js';
import type { Tensor } from '../onnx/tensor.js';
import { resultOf } from '../resultOf.js';
import type { RunParts } from './runParts.js';

/** Where in a training something went wrong. */
interface Moment {
  readonly epoch: number;
  readonly step: number;
}

/**
 * What to throw when the loss, the logits of `slots`, or the state are no numbers any more: that the training has diverged, unless
 * it began with such a photo.
 */
export async function notANumber(run: RunParts, at: Moment, slots: Int32Array): Promise<UserError> {
  const photo = await blamed(
    run,
    slots.filter((slot) => slot >= 0),
  );
  if (photo === undefined) return diverged(run, at, 'is no longer a number');
  await run.keeper.write({ progress: false });
  const { boundaryDtype, precision } = run.settings;
  const range =
    boundaryDtype === 'float16'
      ? 'float16 may not hold its features (‹boundaryDtype› float32); else '
      : precision === 'mixed'
        ? 'float16 may not hold its activations (‹precision› fp32); else '
        : '';
  return new UserError(
    'not-finite',
    `the model gives no numbers (NaN, or infinite) for ${photo} before it has learned anything: ${range}check how its pixels are normalised (‹preprocessing›), and the model`,
  );
}

/** What to throw when the loss runs away; the best weights so far become the model. */
export async function diverged(
  { keeper, models, folder }: RunParts,
  { epoch, step }: Moment,
  what: string,
): Promise<UserError> {
  // The state is of a finished epoch, and the progress is further: only the weights can be written.
  await keeper.write({ progress: false });
  const { best, learningRate } = keeper.progress;
  let kept = 'no epoch was finished';
  if (best) {
    await models.write(folder.readBest());
    kept = `${models.path} has the weights of epoch ${best.epoch}`;
  }
  return new UserError(
    'diverged',
    `the loss ${what} at epoch ${epoch}, step ${step}; ${kept}; try a smaller learning rate than ${learningRate} (‹learningRate›)`,
  );
}

/** The state, all of numbers: another is never kept. @throws UserError `diverged`. */
export async function finiteState(run: RunParts, epoch: number): Promise<ReadonlyMap<string, Tensor>> {
  const state = await run.engine.getState();
  if (nonFiniteIn(state) === undefined) return state;
  throw await notANumber(run, { epoch, step: run.keeper.progress.partial.steps }, new Int32Array());
}

/** The first photo of `slots` for which the model gives no numbers with the parameters that the training began with. */
async function blamed(run: RunParts, slots: Int32Array): Promise<string | undefined> {
  const { engine, folder, keeper, validation } = run;
  await engine.setState(loadArtifacts(folder.path('artifacts')).state);
  const epoch = keeper.progress.results.length + 1;
  const slot = await resultOf(validation.firstSlot(slots, epoch, (logits) => !allFinite(logits)));
  return slot === undefined ? undefined : run.slots.nameOf(slot);
}
