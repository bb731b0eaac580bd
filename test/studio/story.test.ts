import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDataset } from '../../src/data/openDataset.js';
import { drawPictures } from '../../src/data/pictures.js';
import { type RunningStudio, startStudio } from '../../src/studio/server/serve.js';
import { browser as executablePath } from '../chromium.js';
import { cli } from '../cli/cli.js';
import { EFFICIENTNET_LITE0 } from '../models.js';
import { drop } from './pageOpener.js';

const WORK = mkdtempSync(join(tmpdir(), 'ort-tl-'));
/** As whoever starts the command in a folder of their own has them. */
const [PHOTOS, RUNS] = ['photos', 'runs'];
const DROPPED = join(WORK, 'dropped');
const PER_CLASS = 20;
/** Whoever wants the pictures of the documentation says where they go. */
const given = process.env['ORT_TL_STUDIO_PICTURES'];
const PICTURES = given === undefined ? undefined : resolve(given);
const HERE = process.cwd();

let browser: Browser;
let page: Page;
let studio: RunningStudio;

/** Folders `boat` and `cup` of 20 pictures each, of which one that will validate lies in the wrong one; gives that one's place. */
async function makePhotos(): Promise<string> {
  await drawPictures(join(WORK, 'drawn'), {
    set: 'demo',
    trainPerClass: PER_CLASS,
    valPerClass: 2,
    size: 224,
    seed: 3,
  });
  for (const name of ['boat', 'cup'])
    cpSync(join(WORK, 'drawn', 'train', name), join(DROPPED, name), { recursive: true });
  const { val } = await openDataset(DROPPED, { seed: 0 });
  const wrong = val.find(({ label }) => label === 0)?.path ?? '';
  const [cup = ''] = readdirSync(join(WORK, 'drawn', 'val', 'cup'));
  writeFileSync(wrong, readFileSync(join(WORK, 'drawn', 'val', 'cup', cup)));
  return join('boat', basename(wrong));
}

/** A film of one picture, as Chromium takes it for a camera's: Y4M, 4:2:0. */
async function writeFilm(picture: string, film: string): Promise<void> {
  const [width, height] = [320, 320];
  const { data } = await sharp(picture).resize(width, height).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  const luma = Buffer.alloc(width * height);
  const [blue, red] = [Buffer.alloc(luma.length / 4), Buffer.alloc(luma.length / 4)];
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const [r = 0, g = 0, b = 0] = data.subarray(3 * (y * width + x), 3 * (y * width + x) + 3);
      // ITU-R BT.601, limited range.
      luma[y * width + x] = 16 + 0.257 * r + 0.504 * g + 0.098 * b;
      const quarter = (y >> 1) * (width / 2) + (x >> 1);
      blue[quarter] = 128 - 0.148 * r - 0.291 * g + 0.439 * b;
      red[quarter] = 128 + 0.439 * r - 0.368 * g - 0.071 * b;
    }
  const frame = Buffer.concat([Buffer.from('FRAME\n'), luma, blue, red]);
  const head = Buffer.from(`YUV4MPEG2 W${width} H${height} F10:1 Ip A1:1 C420jpeg\n`);
  writeFileSync(film, Buffer.concat([head, ...Array.from({ length: 5 }, () => frame)]));
}

const tab = (name: string) => page.getByRole('navigation').getByRole('link', { name: new RegExp(`^${name}`) });

/** Takes the view from its top on, as it is once all has come to rest. */
async function picture(name: string): Promise<void> {
  if (PICTURES === undefined) return;
  mkdirSync(PICTURES, { recursive: true });
  const message = page.getByRole('button', { name: 'Close this message' });
  const added = page.getByRole('region', { name: 'Adding photos' }).getByRole('button', { name: 'Close' });
  const close = message.or(added);
  while ((await close.count()) > 0) await close.first().click();
  await page.mouse.move(0, 0);
  await expect.poll(() => page.locator('[data-state=waiting], [data-state=loading]').count()).toBe(0);
  await expect.poll(() => page.locator('[aria-busy=true]').count()).toBe(0);
  await page.evaluate('scrollTo(0, 0)');
  const taken = await page.screenshot({ animations: 'disabled' });
  await sharp(taken)
    .webp({ quality: 85 })
    .toFile(join(PICTURES, `studio-${name}.webp`));
}

describe.skipIf(executablePath === undefined)(
  'the studio, from an empty folder on (skipped where there is no Chromium)',
  () => {
    let wrong: string;
    beforeAll(async () => {
      process.chdir(WORK);
      wrong = await makePhotos();
      const film = join(WORK, 'cup.y4m');
      await writeFilm(join(DROPPED, 'cup', readdirSync(join(DROPPED, 'cup'))[0] ?? ''), film);
      browser = await chromium.launch({
        ...(executablePath === undefined ? {} : { executablePath }),
        args: [
          ...['--no-sandbox', '--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream'],
          `--use-file-for-fake-video-capture=${film}`,
        ],
      });
      studio = await startStudio({
        data: PHOTOS,
        runs: RUNS,
        usualModel: 'efficientnet_lite0',
        port: 0,
        cache: join(WORK, 'cache'),
      });
      const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, permissions: ['camera'] });
      page = await context.newPage();
      page.setDefaultTimeout(60_000);
      await page.goto(studio.url);
    });
    afterAll(async () => {
      if (executablePath === undefined) return;
      await browser.close();
      await studio.close();
      process.chdir(HERE);
    });

    it('makes classes of two folders that are dropped, and trains a head on them by itself', async () => {
      await page.getByText('No photos yet').waitFor();
      await drop(page, [join(DROPPED, 'boat'), join(DROPPED, 'cup')]);
      await page.getByText(`${2 * PER_CLASS} photos added`).waitFor();
      await page.getByText('95 % interval').waitFor();
      expect(readdirSync(join(PHOTOS, 'boat'))).toHaveLength(PER_CLASS);
      await picture('photos');
    });

    it('trains the policy that is chosen, with its cost shown beforehand', async () => {
      await tab('Train').click();
      await page.getByRole('radio', { name: /^F1C1/ }).check();
      await page.getByLabel('Epochs').fill('4');
      await page
        .getByText(/of 3,\d{3},\d{3} parameters|of 3\.\d M parameters|parameters \(/)
        .first()
        .waitFor();
      await page.getByRole('button', { name: 'Train', exact: true }).click();
      await page.getByRole('img', { name: /^Loss by epoch/ }).waitFor();
      await expect
        .poll(() => readdirSync(RUNS).filter((name) => name.endsWith('F1C1')).length, { timeout: 60_000 })
        .toBe(1);
      await page.getByText('It took').waitFor();
      await picture('train');
    });

    it('mends a wrong label by a click: the file moves', async () => {
      await tab('Look').click();
      await page.getByRole('button', { name: '1 photo of boat taken for cup' }).click();
      await page
        .getByRole('img', { name: /with what spoke for its class/ })
        .first()
        .waitFor();
      await picture('look');
      await page.getByRole('button', { name: 'It is cup' }).first().click();
      await expect.poll(() => existsSync(join(PHOTOS, wrong))).toBe(false);
      expect(readdirSync(join(PHOTOS, 'cup'))).toHaveLength(PER_CLASS + 1);
    });

    it('classifies what the camera sees', async () => {
      await page.getByRole('button', { name: 'Camera' }).click();
      await page.locator('.answer', { hasText: /cup/ }).first().waitFor();
      await page.getByRole('button', { name: 'Stop the camera' }).click();
    });

    it('exports in whole numbers, and lets it be downloaded', async () => {
      await tab('Export').click();
      await page.getByRole('radio', { name: /^ONNX, int8/ }).check();
      await page.getByRole('button', { name: 'Export', exact: true }).click();
      const link = page.getByRole('link', { name: /^Download/ });
      await link.waitFor();
      const [download] = await Promise.all([page.waitForEvent('download'), link.click()]);
      const zip = readFileSync(await download.path());
      expect(zip.subarray(0, 4).toString('latin1')).toBe('PK\x03\x04');
      expect(zip.includes('-int8.onnx')).toBe(true);
      await picture('export');
    });

    it('leaves a run that the command line knows, and shows one that the command line trains', async () => {
      await tab('Runs').click();
      await page.getByRole('button', { name: /F1C1$/ }).click();
      await page.getByText('npx ort-tl train --config').waitFor();
      const [run = ''] = readdirSync(RUNS).filter((name) => name.endsWith('F1C1'));
      const given = [
        '--model',
        EFFICIENTNET_LITE0,
        '--data',
        PHOTOS,
        '--cache',
        join(WORK, 'cache'),
        '--policy',
        'F1C0',
      ];
      expect(cli(['train', ...given, '--epochs', '2', '--out', join(RUNS, 'by-hand')], WORK).status).toBe(0);
      await page.getByRole('button', { name: 'by-hand' }).waitFor();
      const { status, stdout } = cli(['compare', join(RUNS, run), join(RUNS, 'by-hand')], WORK);
      expect([status, stdout]).toEqual([0, expect.stringMatching(/F1C1[^]*F1C0|F1C0[^]*F1C1/)]);
    });
  },
);
