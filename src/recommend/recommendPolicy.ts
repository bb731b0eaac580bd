import { classifierOf } from '../artifacts/prepare.js';
import { sideOf } from '../artifacts/preprocessing.js';
import { UserError } from '../errors.js';
import { Opened } from '../opened.js';
import { parsePolicy, showPolicy } from '../policy/policy.js';
import { settle } from '../settings.js';
import { temporaryFolder } from '../temporary.js';
import { settingsOf, type TrainOptions } from '../train/trainOptions.js';
import { Candidates } from './candidates.js';
import { interleaved } from './interleaved.js';
import { Metering } from './metering.js';
import { Race } from './race.js';
import { recommendSettings } from './recommendSettings.js';
import type { Recommendation, RecommendEvent, RecommendOptions } from './recommendation.js';
import { conclude } from './reports.js';
import { UnreadPhotos } from './unreadPhotos.js';

/**
 * Finds how many layers to train: measures what each of nested policies costs, trains those inside the limits shortly on a part of the
 * training photos, predicts from that what the whole trainings give, and chooses the cheapest that is expected to be about as accurate as
 * the best. The validation photos are not looked at. It closes the meter.
 * @throws UserError `no-policy-fits`, `no-energy`, `stopped`, and what a training throws.
 */
export async function* recommend(options: RecommendOptions): AsyncGenerator<RecommendEvent, Recommendation> {
  if (options.energyLimitJ !== undefined && !options.meter)
    throw new UserError(
      'no-energy',
      'there is nothing to measure joules with, so none can be promised; state what a busy core draws (‹watts›) for an estimate, or leave out ‹energy›',
    );
  const opened = new Opened();
  try {
    const { path } = opened.add(temporaryFolder(), (root) => root.remove());
    opened.add(options.meter, (meter) => meter?.close());
    return yield* search(options, path);
  } finally {
    await opened.close();
  }
}

async function* search(options: RecommendOptions, root: string): AsyncGenerator<RecommendEvent, Recommendation> {
  const began = performance.now();
  const { dataset, seed = 0, meter } = options;
  const { effort } = settle(recommendSettings, options);
  const settings = settingsOf({ ...options, policy: 'F1C0' });
  const plan = { options, settings, root, photos: interleaved(dataset.train, seed), unread: new UnreadPhotos() };
  const metering = new Metering(meter);
  const candidates = new Candidates(plan, metering);
  yield* candidates.measure(policiesOf(options));
  const { inside, sweepMs } = candidates;
  if (inside.length === 0) throw candidates.nothingFits();
  const budget = { ms: effort * sweepMs, began };
  const race = inside.length === 1 ? undefined : yield* new Race(plan, candidates, metering).run(budget);
  return conclude(plan, { candidates, inside, race, energyEstimated: metering.estimated, began });
}

/** The policies that are tried unless others are named. */
export function nestedPolicies(
  options: Pick<TrainOptions, 'head' | 'model' | 'output' | 'preprocessing' | 'size'>,
): string[] {
  const { asked, usual } = sideOf(options.model, options);
  const { convs } = classifierOf(options.model, { ...options, size: asked, usual }).layers;
  // The last convolution alone may be the whole of a small network's.
  const counts = [0, 1, 2, 3].filter((count) => count < convs.length);
  return [...counts.map((count) => `F1C${count}`), 'full'];
}

/** The policies to try; F1C0 is the first. */
function policiesOf(options: RecommendOptions): string[] {
  // One that the model does not have is told of in its row; one that is no policy is a mistake.
  const named = options.policies?.map((policy) => showPolicy(parsePolicy(policy))) ?? nestedPolicies(options);
  return [...new Set(['F1C0', ...named])];
}
