import type { Dataset } from '../data/dataset.js';
import { evenly } from '../data/evenly.js';
import { labelsOfPhoto } from '../data/labels.js';
import type { Photo } from '../data/photo.js';
import { thumbnailOf } from '../data/thumbnail.js';
import { UserError } from '../errors.js';
import { htmlPage } from '../figures/page.js';
import { inLines, type Markup, markup } from '../markup.js';
import { placedOf, type Survey } from './survey.js';

/** Longer side of a thumbnail in pixels; one takes about 4 kB. */
const SIDE = 112;
/** Pictures of classes on one page, which then has some 10 MB. */
const MOST_PICTURES = 2000;
/** Groups of the same photo, and photos of a group, that are shown. */
const MOST_GROUPS = 100;
const MOST_OF_GROUP = 6;
/** Lines of photos that cannot be read. */
const MOST_LINES = 1000;
/** Photos that are decoded at once. */
const AT_ONCE = 8;

const STYLE = `
figure { margin: 0 .35rem .5rem 0; } figure img { display: block; max-width: ${SIDE}px; }
figcaption { font-size: .75rem; max-width: ${SIDE}px; overflow-wrap: anywhere; }
.group { border-left: 3px solid #8888; padding-left: .75rem; margin-bottom: .75rem; }
`;

/**
 * A page of a data set's photos by class, beside what a survey found: the photos that are there twice, and those that cannot be read. It
 * tells of each photo that is drawn. `perClass` is the most photos of a class; with many classes fewer are shown, which the page says.
 */
export async function* contactSheet(
  dataset: Dataset,
  found: Survey,
  perClass: number,
): AsyncGenerator<{ readonly done: number; readonly total: number }, string> {
  const { classes } = dataset;
  const placed = placedOf(dataset);
  const byPath = new Map(placed.map(({ photo }) => [photo.path, photo]));
  const each = Math.min(perClass, Math.max(1, Math.floor(MOST_PICTURES / Math.max(1, classes.length))));
  const byClass = classes.map((): Photo[] => []);
  for (const { photo } of placed) for (const label of labelsOfPhoto(photo)) byClass[label]?.push(photo);
  const chosen = byClass.slice(0, MOST_PICTURES).map((photos) => evenly(photos, each));
  const groups = (found.content?.duplicates.groups ?? []).slice(0, MOST_GROUPS);
  // Photos of a group look alike.
  const first = groups.flatMap(([some]) => byPath.get(some?.path ?? '') ?? []);
  const wanted = [...new Set([...chosen.flat(), ...first])];
  const pictures = new Map<string, Buffer>();
  for (let at = 0; at < wanted.length; at += AT_ONCE) {
    const some = wanted.slice(at, at + AT_ONCE);
    for (const [index, picture] of (await Promise.all(some.map(pictureOf))).entries())
      if (picture) pictures.set(some[index]?.path ?? '', picture);
    yield { done: at + some.length, total: wanted.length };
  }
  const limited = each < perClass ? `; with so many classes ${each} of each are shown` : '';
  const body = inLines([
    markup`<p>${placed.length} photos in ${classes.length} classes of ${found.source}: ${found.photos.train} to train with, ${found.photos.validate} to validate, ${found.photos.test} to test${limited}.</p>`,
    notesOf(found),
    duplicatesOf(found, groups, pictures),
    unreadableOf(found),
    ...chosen.map((photos, label) => classOf(found, label, byClass[label]?.length ?? 0, photos, pictures)),
    ...(classes.length > chosen.length
      ? [markup`<p>${classes.length - chosen.length} further classes are not shown.</p>`]
      : []),
  ]);
  return htmlPage(`Photos of ${found.source}`, body, STYLE);
}

async function pictureOf(photo: Photo): Promise<Buffer | undefined> {
  try {
    return await thumbnailOf(photo, SIDE);
  } catch (thrown) {
    // The page names those that cannot be read.
    if (thrown instanceof UserError) return undefined;
    throw thrown;
  }
}

function notesOf({ warnings, content, photos }: Survey): Markup {
  const leftOut = Object.entries(photos.leftOut).map(([reason, count]) => `${count} ${reason}`);
  const lines = [
    ...warnings,
    ...(content?.duplicates.warnings ?? []),
    ...(leftOut.length > 0 ? [`left out: ${leftOut.join(', ')}`] : []),
  ];
  return lines.length > 0 ? markup`<ul>${lines.map((line) => markup`<li>${line}</li>`)}</ul>` : markup``;
}

type Groups = NonNullable<Survey['content']>['duplicates']['groups'];

function duplicatesOf({ content }: Survey, groups: Groups, pictures: ReadonlyMap<string, Buffer>): Markup {
  const total = content?.duplicates.groups.length ?? 0;
  if (total === 0) return markup``;
  const shown = groups.length < total ? `; the first ${groups.length} are shown` : '';
  const sections = groups.map((group) => {
    const picture = pictures.get(group[0]?.path ?? '');
    const figures = group
      .slice(0, MOST_OF_GROUP)
      .map(({ path, class: name, split }) => figureOf(path, picture, `${name}, ${split}: ${path}`));
    const others = group.length > MOST_OF_GROUP ? markup`<p>and ${group.length - MOST_OF_GROUP} more</p>` : '';
    return markup`<div class="group">${figures}${others}</div>`;
  });
  return markup`<h2>The same photo more than once (${total})</h2>
<p>Photos of the same content side by side${shown}.</p>
${inLines(sections)}`;
}

function unreadableOf({ content }: Survey): Markup {
  const all = content?.unreadable ?? [];
  if (all.length === 0) return markup``;
  const lines = all.slice(0, MOST_LINES).map(({ path, reason }) => markup`<li>${path}: ${reason}</li>`);
  const others = all.length > MOST_LINES ? markup`<p>and ${all.length - MOST_LINES} more</p>` : '';
  return markup`<h2>Photos that cannot be read (${all.length})</h2>
<ul>${lines}</ul>${others}`;
}

function classOf(
  { classes }: Survey,
  label: number,
  total: number,
  photos: readonly Photo[],
  pictures: ReadonlyMap<string, Buffer>,
): Markup {
  const { name = '', train = 0, validate = 0, test = 0 } = classes[label] ?? {};
  const shown = photos.length < total ? `, ${photos.length} of them shown` : '';
  return markup`<h2>${name}</h2>
<p>${total} photos${shown}: ${train} train, ${validate} validate, ${test} test.</p>
${inLines(photos.map(({ path }) => figureOf(path, pictures.get(path), path.split('/').at(-1) ?? path)))}`;
}

function figureOf(path: string, picture: Buffer | undefined, caption: string): Markup {
  const image = picture
    ? markup`<img loading="lazy" src="data:image/jpeg;base64,${picture.toString('base64')}" alt="${path}" title="${path}">`
    : markup`<p>cannot be read</p>`;
  return markup`<figure>${image}<figcaption>${caption}</figcaption></figure>`;
}
