import { type Augmentation, mixesPhotos, variesPhotos } from '../data/augment/augmentation.js';
import type { Dataset } from '../data/dataset.js';
import type { Settings } from './trainOptions.js';

type Viewing = Pick<Settings, 'augmentation' | 'views'>;

/** Whether photos are trained on in other views than their own. */
export const augments = (augmentation: Augmentation): boolean =>
  variesPhotos(augmentation) || mixesPhotos(augmentation);

/** Views of each training photo that are kept at once. */
export const keptViews = ({ augmentation, views }: Viewing): number =>
  augments(augmentation) ? Math.max(1, views) : 1;

/** Whether every epoch takes views that no epoch before it took. */
export const makesNewViews = ({ augmentation, views }: Viewing): boolean => augments(augmentation) && views === 0;

/**
 * Whether features come again, in this run or another: those of new views in every epoch, and of photos that are mixed with whichever lie
 * beside them, never do.
 */
export const featuresReturn = (viewing: Viewing): boolean =>
  !mixesPhotos(viewing.augmentation) && !makesNewViews(viewing);

/** Photos, and views of them, that a training keeps at once. */
export const slotsFor = ({ train, val }: Dataset, viewing: Viewing): number =>
  train.length * keptViews(viewing) + val.length;
