import { labelsOfPhoto } from '../data/labels.js';
import type { Photo } from '../data/photo.js';
import { thumbnailOf } from '../data/thumbnail.js';
import { htmlPage } from '../figures/page.js';
import { inLines, type Markup, markup } from '../markup.js';
import { labelsOver, type LabelScore, sigmoid } from './labelMetrics.js';

/** A label that a photo has and was not given, or was given and does not have. */
interface LabelMistake {
  readonly photo: Photo;
  readonly label: number;
  /** Of the label, 0 to 1. */
  readonly probability: number;
}

/** A label that was missed in photos in which another was wrongly seen. */
interface CoError {
  readonly missed: number;
  readonly seen: number;
  readonly photos: number;
}

/** What went wrong on photos of any number of labels. */
interface LabelMistakes {
  /** By label, the worst first. */
  readonly missed: readonly (readonly LabelMistake[])[];
  readonly seen: readonly (readonly LabelMistake[])[];
  /** The most frequent first. */
  readonly coErrors: readonly CoError[];
  /** Photos with a mistake. */
  readonly wrong: number;
}

/** Mistakes of each kind that a label shows with their pictures, and pictures of the whole page. */
const SHOWN_OF_KIND = 6;
const MOST_PICTURES = 200;
const MOST_CO_ERRORS = 20;
const THUMBNAIL_PIXELS = 120;
const AT_ONCE = 8;

/** What went wrong in `logits` [photos, labels], with the labels' own thresholds. */
export function labelMistakesOf(
  photos: readonly Photo[],
  logits: Float32Array,
  thresholds: readonly number[],
): LabelMistakes {
  const count = thresholds.length;
  const missed = thresholds.map((): LabelMistake[] => []);
  const seen = thresholds.map((): LabelMistake[] => []);
  const pairs = new Map<string, CoError>();
  let wrong = 0;
  for (const [index, photo] of photos.entries()) {
    const row = logits.subarray(index * count, (index + 1) * count);
    const given = labelsOver(row, thresholds);
    const own = labelsOfPhoto(photo);
    const lacking = own.filter((label) => !given.includes(label));
    const alien = given.filter((label) => !own.includes(label));
    const mistake = (label: number) => ({ photo, label, probability: sigmoid(row[label] ?? NaN) });
    for (const label of lacking) missed[label]?.push(mistake(label));
    for (const label of alien) seen[label]?.push(mistake(label));
    for (const a of lacking)
      for (const b of alien) {
        const before = pairs.get(`${a} ${b}`);
        pairs.set(`${a} ${b}`, { missed: a, seen: b, photos: (before?.photos ?? 0) + 1 });
      }
    if (lacking.length + alien.length > 0) wrong++;
  }
  return {
    missed: missed.map((all) => all.sort((a, b) => a.probability - b.probability)),
    seen: seen.map((all) => all.sort((a, b) => b.probability - a.probability)),
    coErrors: [...pairs.values()].sort((a, b) => b.photos - a.photos || a.missed - b.missed || a.seen - b.seen),
    wrong,
  };
}

/** A page of mistakes label by label, the worst labels first, with pictures; undefined where the signal fired before it was whole. */
export async function labelMistakesPage(
  { missed, seen, coErrors, wrong }: LabelMistakes,
  classes: readonly string[],
  scores: readonly LabelScore[],
  photos: number,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const order = scores
    .map((score, label) => ({ score, label }))
    .sort((a, b) => a.score.f1 - b.score.f1 || a.label - b.label);
  const each = Math.max(1, Math.min(SHOWN_OF_KIND, Math.floor(MOST_PICTURES / Math.max(1, 2 * classes.length))));
  const shown = new Set(order.flatMap(({ label }) => [missed, seen].flatMap((of) => (of[label] ?? []).slice(0, each))));
  const pictures = await picturesOf([...new Set([...shown].map(({ photo }) => photo))].slice(0, MOST_PICTURES), signal);
  if (signal?.aborted) return undefined;
  const name = (label: number) => classes[label] ?? '';
  const figures = (all: readonly LabelMistake[]) =>
    inLines(all.slice(0, each).map(({ photo, probability }) => figureOf(photo, probability, pictures.get(photo))));
  const sections = order.map(({ score, label }) => {
    const [lacking, alien] = [missed[label] ?? [], seen[label] ?? []];
    const ap = score.averagePrecision === null ? 'not known' : percent(score.averagePrecision);
    return markup`<h2>${name(label)}</h2>
<p>${score.photos} photos; average precision ${ap}; from ${percent(score.threshold)} on: precision ${percent(score.precision)}, recall ${percent(score.recall)}, F1 ${percent(score.f1)}.</p>
<p>${lacking.length} missed${lacking.length > each ? `, the ${each} least likely` : ''}</p>
${figures(lacking)}
<p>${alien.length} wrongly seen${alien.length > each ? `, the ${each} likeliest` : ''}</p>
${figures(alien)}`;
  });
  const rows = coErrors
    .slice(0, MOST_CO_ERRORS)
    .map((pair) => markup`<tr><td>${name(pair.missed)}</td><td>${name(pair.seen)}</td><td>${pair.photos}</td></tr>`);
  const table =
    rows.length === 0
      ? markup``
      : markup`<h2>Missed in the same photo as another was wrongly seen</h2>
<table><tr><th>missed</th><th>wrongly seen</th><th>photos</th></tr>
${inLines(rows)}
</table>`;
  return htmlPage(
    'Mistakes',
    inLines([
      markup`<p>${wrong} of ${photos} validation photos miss a label, or have one too many.</p>`,
      table,
      ...sections,
    ]),
  );
}

async function picturesOf(
  photos: readonly Photo[],
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<Photo, Uint8Array>> {
  const pictures = new Map<Photo, Uint8Array>();
  for (let at = 0; at < photos.length && !signal?.aborted; at += AT_ONCE)
    await Promise.all(
      photos.slice(at, at + AT_ONCE).map(async (photo) => {
        const picture = await thumbnailOf(photo, THUMBNAIL_PIXELS).catch(() => undefined);
        if (picture) pictures.set(photo, picture);
      }),
    );
  return pictures;
}

function figureOf({ path }: Photo, probability: number, picture: Uint8Array | undefined): Markup {
  const image = picture
    ? markup`<img src="data:image/jpeg;base64,${Buffer.from(picture).toString('base64')}" alt="${path}">`
    : '';
  return markup`<figure>
${image}
<figcaption>${percent(probability)}<br>${path}</figcaption>
</figure>`;
}

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
