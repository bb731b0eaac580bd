import type { Artifacts } from '../artifacts/load.js';
import { UserError } from '../errors.js';
import { Opened } from '../opened.js';
import { probeBlockSize } from './blockSize.js';
import { DEVICE_WAYS, DeviceSteps, type DeviceWay } from './deviceSteps.js';
import { type EvaluationOptions, EvaluationTeam } from './evaluationTeam.js';
import type { StepSession } from './stepSession.js';
import { StepTeam, type TeamOptions } from './stepTeam.js';

/** The sessions that train and evaluate artifacts. */
export interface StepperSessions {
  readonly steps: StepSession;
  readonly evaluation: EvaluationTeam;
  close(): Promise<void>;
}

export interface SessionsOptions extends EvaluationOptions {
  /** How a device takes steps; default what goes for the provider. */
  readonly way?: DeviceWay | undefined;
}

/**
 * Opens the sessions of artifacts.
 * @throws UserError `bad-artifacts` where they are laid out for another processor, or of a version that had the update in its graph,
 * `not-loadable` when ONNX Runtime refuses a part of the model.
 */
export async function openStepperSessions(artifacts: Artifacts, options: SessionsOptions): Promise<StepperSessions> {
  await checkRunnable(artifacts, options);
  const opened = new Opened();
  try {
    const { way = DEVICE_WAYS[options.provider], proximal = 0 } = options;
    if (way && proximal > 0) throw new Error('only the kernels of the CPU hold parameters near to others');
    const opening = way ? DeviceSteps.open(artifacts, { ...options, way }) : StepTeam.open(artifacts, options);
    const steps = opened.add<DeviceSteps | StepTeam>(await opening, (each) => each.close());
    const workers = steps instanceof StepTeam ? steps.workers : [];
    const evaluation = opened.add(await EvaluationTeam.open(artifacts, options, workers), (each) => each.close());
    return { steps, evaluation, close: () => opened.close() };
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
