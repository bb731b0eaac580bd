// How quick, how smooth and how large the studio is, in headless Chromium and with the real server, against what it is to reach: 40 photos
// added to 1,000 and to none, frames while something trains, a project of 10,000 photos, sizes. Writes bench/results/studio.md, and its
// figures into studio.json beside it, so that parts can be measured one after another. After `npm run build`:
//
//   node bench/studio.js [--data photos/] [--model efficientnet_b0.onnx] [--only add,first,frames,large,size] [--rounds 5] [--before FOLDER]
// Without --data it draws pictures, without --model it takes the embedded network. --before is a built checkout of the version before.
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { basename, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { openDataset } from 'ort-tl';
import { z } from 'zod';
import { median } from '../dist/bench/statistics.js';
import { drawPictures } from '../dist/data/pictures.js';
import { sha256 } from '../dist/files.js';
import { machineNote } from './machine.js';
import { reportOf } from './studioReport.js';
import {
  accuracyOf,
  drop,
  framesWhile,
  openBrowser,
  openPage,
  rendererMemory,
  startServer,
  thumbnailsOf,
} from './studioBrowser.js';

const PARTS = ['add', 'first', 'frames', 'large', 'size'];
const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    model: { type: 'string' },
    only: { type: 'string', default: PARTS.join(',') },
    rounds: { type: 'string', default: '5' },
    before: { type: 'string' },
  },
});
const only = values.only.split(',');
const rounds = Number(values.rounds);
if (!(rounds >= 1) || only.some((part) => !PARTS.includes(part)))
  throw new Error(`expected --rounds of 1 or more, and --only with parts of ${PARTS.join(',')}`);
const [THERE, NEW, LARGE] = [1000, 40, 10_000];
const FRAMES_MS = 12_000;
/** In which a class of the large project is scrolled through. */
const STEPS = 60;

const recordsPath = fileURLToPath(new URL('results/studio.json', import.meta.url));
const numbers = z.record(z.string(), z.number());
const partSchema = z.object({ made: z.string(), figures: numbers });
const records = z
  .record(z.string(), partSchema)
  .parse(existsSync(recordsPath) ? JSON.parse(readFileSync(recordsPath, 'utf8')) : {});
const root = mkdtempSync(join(tmpdir(), 'ort-tl-bench-studio-'));
const [cache, model] = [join(root, 'cache'), values.model];

/** @typedef {{ readonly class: string, readonly path: string }} Source */

/** Photos of which no two are alike, a class after another. @returns {Promise<Source[]>} */
async function findPhotos() {
  let folder = values.data;
  if (folder === undefined) {
    folder = join(root, 'drawn');
    const trainPerClass = Math.ceil((THERE + (rounds + 1) * NEW) / 6);
    await drawPictures(folder, { set: 'demo', trainPerClass, valPerClass: 1, size: 224, seed: 0 });
  }
  const { classes, train, val } = await openDataset(folder, { seed: 0 });
  const known = new Set();
  const byClass = classes.map((name, label) =>
    [...train, ...val].filter((photo) => photo.label === label).map(({ path }) => ({ class: name, path })),
  );
  const found = [];
  for (let turn = 0; byClass.some((some) => turn < some.length); turn++)
    for (const some of byClass) {
      const photo = some[turn];
      if (!photo || found.length >= LARGE) continue;
      const hash = sha256(readFileSync(photo.path));
      if (!known.has(hash)) found.push(photo);
      known.add(hash);
    }
  if (found.length < THERE + (rounds + 1) * NEW) throw new Error(`${folder} has too few photos: ${found.length}`);
  return found;
}

/**
 * Puts photos into class folders; gives their paths below.
 * @param {string} folder
 * @param {readonly Source[]} photos
 * @param {number} [from] what their numbers begin with
 */
function put(folder, photos, from = 0) {
  return photos.map(({ class: name, path }, index) => {
    mkdirSync(join(folder, name), { recursive: true });
    const own = `${name}/${from + index}${extname(path)}`;
    copyFileSync(path, join(folder, own));
    return own;
  });
}

/** @param {string} part @param {Record<string, number>} figures */
function note(part, figures) {
  const what = [
    values.model === undefined ? 'the embedded network' : basename(values.model),
    values.data === undefined ? 'drawn pictures' : `photos of ${basename(values.data)}`,
  ];
  const made = `${what.join(', ')}; ${availableParallelism()} cores (${machineNote()}), Node ${process.version}, ${new Date().toISOString().slice(0, 10)}`;
  records[part] = { made, figures };
  writeFileSync(recordsPath, `${JSON.stringify(records, undefined, 2)}\n`);
  console.log(part, figures);
}

/** @param {readonly { took: number, uploaded: number }[]} tries */
const summary = (tries) => {
  const took = tries.map((each) => each.took);
  return {
    ms: median(took),
    least: Math.min(...took),
    most: Math.max(...took),
    uploadMs: median(tries.map((each) => each.uploaded)),
    rounds: took.length,
  };
};

/** 40 photos for 1,000, the same 1,000 in every round, and frames on the way. @param {readonly Source[]} photos */
async function measureAdding(photos) {
  const data = join(root, 'photos');
  put(data, photos.slice(0, THERE));
  const server = await startServer({ data, runs: join(root, 'runs'), cache, model });
  const browser = await openBrowser();
  try {
    const page = await openPage(browser, server);
    await accuracyOf(page, THERE);
    if (only.includes('add')) {
      const tries = [];
      // The first round warms up.
      for (let round = 0; round <= rounds; round++) {
        const [from, dropped] = [THERE + round * NEW, join(root, `dropped-${round}`)];
        const paths = put(dropped, photos.slice(from, from + NEW), from);
        await drop(
          page,
          readdirSync(dropped).map((name) => join(dropped, name)),
        );
        const took = await accuracyOf(page, THERE + NEW);
        console.log('add', took);
        if (round > 0) tries.push(took);
        await server.post('photos/delete', { paths });
        await accuracyOf(page, THERE);
      }
      note('add', { ...summary(tries), serverBytes: server.residentBytes() });
    }
    if (only.includes('frames')) await measureFrames(page, server, photos.slice(THERE, THERE + NEW));
  } finally {
    await browser.close();
    await server.close();
  }
}

/**
 * @param {import('playwright-core').Page} page
 * @param {import('./studioBrowser.js').Server} server
 * @param {readonly Source[]} photos that were not there yet
 */
async function measureFrames(page, server, photos) {
  const idle = await framesWhile(page, () => page.waitForTimeout(FRAMES_MS / 2));
  const dropped = join(root, 'dropped');
  put(dropped, photos, 2 * LARGE);
  const adding = await framesWhile(page, async () => {
    await drop(
      page,
      readdirSync(dropped).map((name) => join(dropped, name)),
    );
    await accuracyOf(page, THERE + NEW);
  });
  const begun = await server.post('jobs', { kind: 'train', policy: 'F1C1', epochs: 5000 });
  const { id } = z.object({ id: z.string() }).parse(begun);
  const training = await framesWhile(page, () => page.waitForTimeout(FRAMES_MS));
  await page
    .getByRole('navigation')
    .getByRole('link', { name: /^Train/ })
    .click();
  await page.getByRole('img', { name: /^Loss by epoch/ }).waitFor();
  const curves = await framesWhile(page, () => page.waitForTimeout(FRAMES_MS));
  await server.post('jobs/stop', { id });
  /** @type {Record<string, number>} */
  const figures = {};
  for (const [name, found] of Object.entries({ idle, adding, training, curves }))
    for (const [key, value] of Object.entries(found)) figures[`${name}-${key}`] = value;
  note('frames', figures);
}

/** 40 photos of two classes for a project without any. @param {readonly Source[]} photos */
async function measureFirst(photos) {
  const names = [...new Set(photos.map((photo) => photo.class))].slice(0, 2);
  const some = names.flatMap((name) => photos.filter((photo) => photo.class === name).slice(0, NEW / 2));
  const dropped = join(root, 'first');
  put(dropped, some);
  const tries = [];
  for (let round = 0; round < rounds; round++) {
    const place = join(root, `empty-${round}`);
    const folders = { data: join(place, 'photos'), runs: join(place, 'runs'), cache: join(place, 'cache') };
    const server = await startServer({ ...folders, model });
    const browser = await openBrowser();
    try {
      const page = await openPage(browser, server);
      await page.getByText('No photos yet').waitFor();
      await drop(
        page,
        names.map((name) => join(dropped, name)),
      );
      tries.push(await accuracyOf(page, NEW));
      console.log('first', tries.at(-1));
    } finally {
      await browser.close();
      await server.close();
    }
  }
  note('first', summary(tries));
}

/** Every class from its first photo to its last. @param {import('playwright-core').Page} page */
async function scrollThroughAll(page) {
  const links = await page.locator('.classes li a').all();
  for (const link of links) {
    await link.click();
    await page.locator('.grid-box').waitFor();
    for (let step = 0; step <= STEPS; step++) {
      const top = `box.scrollHeight * ${step / STEPS}`;
      await page.evaluate(`{ const box = document.querySelector('.grid-box'); box.scrollTop = ${top}; }`);
      await page.waitForTimeout(50);
    }
  }
}

/** A project of 10,000 photos: those there are, as often as needed. @param {readonly Source[]} photos */
async function measureLarge(photos) {
  const [data, runs] = [join(root, 'large'), join(root, 'large-runs')];
  put(
    data,
    Array.from({ length: LARGE }, (_, index) => photos[index % photos.length] ?? { class: '', path: '' }),
  );
  let browser = await openBrowser();
  const empty = await rendererMemory(browser, await browser.newPage());
  await browser.close();
  const began = performance.now();
  const server = await startServer({ data, runs, cache, model });
  const startMs = performance.now() - began;
  browser = await openBrowser();
  try {
    let page = await openPage(browser, server);
    const visit = async () => {
      const tries = [];
      for (let round = 0; round < rounds; round++) {
        await page.goto(`${server.origin}/`);
        tries.push(await thumbnailsOf(page));
      }
      return { first: median(tries.map(({ first }) => first)), all: median(tries.map(({ all }) => all)) };
    };
    // As long as the live head looks at them, and afterwards.
    const first = await thumbnailsOf(page);
    const busy = await visit();
    await server.post('settings', { live: false });
    await page.waitForTimeout(3000);
    const quiet = await visit();
    await browser.close();
    browser = await openBrowser();
    page = await openPage(browser, server);
    await thumbnailsOf(page);
    const opened = await rendererMemory(browser, page);
    const scrolled = await framesWhile(page, () => scrollThroughAll(page));
    const after = await rendererMemory(browser, page);
    note('large', {
      ...{
        startMs,
        visitMs: first.first,
        busyFirst: busy.first,
        busyAll: busy.all,
        quietFirst: quiet.first,
        quietAll: quiet.all,
      },
      ...{
        emptyPss: empty.pss,
        emptyRss: empty.rss,
        openedPss: opened.pss,
        openedRss: opened.rss,
        openedHeap: opened.heap,
      },
      ...{ scrolledPss: after.pss, scrolledRss: after.rss, scrolledHeap: after.heap, longestFrame: scrolled.longest },
      ...{ serverBytes: server.residentBytes() },
    });
  } finally {
    await browser.close();
    await server.close();
  }
}

/** What `npm pack` would write, in bytes packed and unpacked. @param {string} folder */
function packed(folder) {
  const given = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: folder,
    encoding: 'utf8',
    maxBuffer: 1e8,
  });
  const size = z.object({ size: z.number(), unpackedSize: z.number() });
  const told = z.union([z.array(size), z.record(z.string(), size)]).parse(JSON.parse(given));
  const [found] = Object.values(told);
  return found ?? { size: NaN, unpackedSize: NaN };
}

function measureSizes() {
  const here = fileURLToPath(new URL('..', import.meta.url));
  const page = join(here, 'dist', 'studio', 'page');
  const files = readdirSync(page, { recursive: true, encoding: 'utf8' }).map((name) => join(page, name));
  const pageBytes = files
    .filter((path) => statSync(path).isFile())
    .reduce((sum, path) => sum + gzipSync(readFileSync(path)).length, 0);
  const now = packed(here);
  const before = values.before === undefined ? undefined : packed(values.before);
  note('size', {
    ...{ pageBytes, packedBytes: now.size, unpackedBytes: now.unpackedSize },
    ...(before && { packedBefore: before.size, unpackedBefore: before.unpackedSize }),
  });
}

try {
  if (only.some((part) => part !== 'size')) {
    const photos = await findPhotos();
    if (only.includes('add') || only.includes('frames')) await measureAdding(photos);
    if (only.includes('first')) await measureFirst(photos);
    if (only.includes('large')) await measureLarge(photos);
  }
  if (only.includes('size')) measureSizes();
  const text = reportOf(records);
  writeFileSync(new URL('results/studio.md', import.meta.url), text);
  console.log(text);
} finally {
  rmSync(root, { recursive: true, force: true });
}
