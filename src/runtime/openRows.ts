import type { Artifacts } from '../artifacts/load.js';
import type { Opened } from '../opened.js';
import { openFeatures } from './frozenFeatures.js';
import { sessionOptions } from './partSessions.js';
import { PhotoRows } from './photoRows.js';
import { Slots } from './slots.js';
import type { StepperOptions } from './stepper.js';

/** Opens the rows of photos, with the cache where there is one; `opened` closes it. @throws UserError `not-loadable`, and what the cache throws. */
export async function openRows(
  artifacts: Artifacts,
  { slots, threads, provider = 'cpu', cache }: StepperOptions,
  opened: Opened,
): Promise<PhotoRows> {
  const session = sessionOptions(threads, provider);
  const features = cache && (await openFeatures(artifacts, cache, provider, session));
  if (features)
    opened.add(features, async ({ store, donor }) => {
      await donor?.close();
      await store.close();
    });
  return new PhotoRows(new Slots(artifacts.manifest.boundary, slots, features?.store, cache?.inMemoryBytes), features);
}
