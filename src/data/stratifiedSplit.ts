import type { LabelledPhoto } from './foundLabels.js';
import { placeOf } from './placeOf.js';

/** Stands for the photos without labels, which are spread as those of a label are. */
const NONE = '\0none';

/**
 * Parts photos so that `fraction` of those of each label validate, as nearly as labels that come together allow: iterative stratification
 * (Sechidis et al. 2011), the rarest label first, and of each the photos in an order that their names below `source` and the seed give. Of a label that has two photos or more one validates at least, and one trains.
 */
export function stratifiedSplit<P extends LabelledPhoto>(
  photos: readonly P[],
  fraction: number,
  { source, seed }: { readonly source: string; readonly seed: number },
): { readonly train: P[]; readonly val: P[] } {
  if (fraction === 0) return { train: [...photos], val: [] };
  if (fraction === 1) return { train: [], val: [...photos] };
  const shuffled = photos
    .map((photo) => ({ photo, place: placeOf(photo.photo, source, `${seed}/labels`) }))
    .sort((a, b) => a.place - b.place)
    .map(({ photo }) => photo);
  const labelsOf = ({ labels }: P) => (labels.length > 0 ? labels : [NONE]);
  const byLabel = new Map<string, P[]>();
  for (const photo of shuffled)
    for (const label of labelsOf(photo)) {
      const others = byLabel.get(label);
      if (others) others.push(photo);
      else byLabel.set(label, [photo]);
    }
  const wanted = new Map<string, Record<'val' | 'train', number>>(
    [...byLabel].map(([label, { length }]) => {
      const val = length < 2 ? 0 : Math.min(length - 1, Math.max(1, Math.round(length * fraction)));
      return [label, { val, train: length - val }] as const;
    }),
  );
  const left = {
    val: Math.round(photos.length * fraction),
    train: photos.length - Math.round(photos.length * fraction),
  };
  const place = new Map<P, 'train' | 'val'>();
  const put = (photo: P, split: 'train' | 'val') => {
    place.set(photo, split);
    left[split]--;
    for (const label of labelsOf(photo)) {
      const own = wanted.get(label);
      if (own) own[split]--;
    }
  };
  while (place.size < photos.length) {
    const remaining = [...byLabel]
      .map(([label, all]) => ({ label, all: all.filter((photo) => !place.has(photo)) }))
      .filter(({ all }) => all.length > 0);
    const rarest = remaining.reduce((least, each) => (each.all.length < least.all.length ? each : least));
    for (const photo of rarest.all) {
      const own = wanted.get(rarest.label) ?? left;
      const more = own.val - own.train || left.val - left.train;
      put(photo, more > 0 ? 'val' : 'train');
    }
  }
  seeToBothSplits(byLabel, place);
  return {
    train: photos.filter((photo) => place.get(photo) === 'train'),
    val: photos.filter((photo) => place.get(photo) === 'val'),
  };
}

/** Moves a photo of each label that has two or more and is in one split alone, unless that takes another label's last one. */
function seeToBothSplits<P extends LabelledPhoto>(
  byLabel: ReadonlyMap<string, readonly P[]>,
  place: Map<P, 'train' | 'val'>,
): void {
  const countIn = (label: string, split: 'train' | 'val') =>
    (byLabel.get(label) ?? []).filter((photo) => place.get(photo) === split).length;
  for (const split of ['val', 'train'] as const) {
    const other = split === 'val' ? 'train' : 'val';
    for (const [label, all] of byLabel) {
      if (all.length < 2 || countIn(label, split) > 0) continue;
      const moved = all.find((photo) => photo.labels.every((each) => countIn(each, other) > 1));
      if (moved) place.set(moved, split);
    }
  }
}
