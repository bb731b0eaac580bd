import type { Artifacts } from '../artifacts/load.js';
import { UserError } from '../errors.js';
import { Opened } from '../opened.js';
import { probeBlockSize } from './blockSize.js';
import { type EvaluationOptions, EvaluationTeam } from './evaluationTeam.js';
import { StepTeam, type TeamOptions } from './stepTeam.js';

/** The sessions that train and evaluate artifacts. */
export interface StepperSessions {
  readonly team: StepTeam;
  readonly evaluation: EvaluationTeam;
  close(): Promise<void>;
}

/**
 * Opens the sessions of artifacts.
 * @throws UserError `bad-artifacts` where they are laid out for another processor, or of a version that had the update in its graph,
 * `not-loadable` when ONNX Runtime refuses a part of the model.
 */
export async function openStepperSessions(artifacts: Artifacts, options: EvaluationOptions): Promise<StepperSessions> {
  await checkRunnable(artifacts, options);
  const opened = new Opened();
  try {
    const team = opened.add(await StepTeam.open(artifacts, options), (each) => each.close());
    const evaluation = opened.add(await EvaluationTeam.open(artifacts, options, team.workers), (each) => each.close());
    return { team, evaluation, close: () => opened.close() };
  } catch (thrown) {
    await opened.close();
    throw thrown;
  }
}

async function checkRunnable({ manifest, folder }: Artifacts, { provider }: TeamOptions): Promise<void> {
  const { blockSize, format } = manifest;
  if (format !== 2)
    throw new UserError('bad-artifacts', `the artifacts in ${folder} are of an earlier version; compile them again`);
  if (blockSize !== undefined && provider === 'cpu' && (await probeBlockSize()) !== blockSize)
    throw new UserError(
      'bad-artifacts',
      `the artifacts in ${folder} are laid out for another processor; compile them again on this one`,
    );
}
