import { existsSync, mkdirSync, mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import puppeteer, { type Browser, type Page } from 'puppeteer-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { drawPictures } from '../../src/data/pictures.js';
import { type RunningStudio, startStudio } from '../../src/studio/server/serve.js';
import { SMALL_CNN } from '../models.js';

const PATHS = [process.env['FIREFOX'] ?? '', '/usr/bin/firefox-esr', '/usr/bin/firefox'];
/** Where a Firefox is; undefined where there is none. Playwright drives its own build alone. */
const executablePath = PATHS.find((path) => path !== '' && existsSync(path));

const WORK = mkdtempSync(join(tmpdir(), 'ort-tl-'));
const [DRAWN, RUNS] = [join(WORK, 'drawn'), join(WORK, 'runs')];
const CLASSES = ['boat', 'cup'];
const PER_CLASS = 12;

let browser: Browser;
let page: Page;
let studio: RunningStudio;
/** What the console had to say, of what the policy of the page's contents refuses too. */
const said: string[] = [];

/** By its role and name, as whoever uses the page finds it. */
const seen = (role: string, name: string) => page.locator(`::-p-aria([role="${role}"][name="${name}"])`);
const text = (words: string) => page.waitForSelector(`::-p-text(${words})`);
/** Chooses files by the first field for them, as its button does. */
async function choose(...paths: string[]): Promise<void> {
  const input = await page.waitForSelector('input[type=file]');
  await input?.uploadFile(...paths);
}
const photosOf = (name: string) =>
  readdirSync(join(DRAWN, 'train', name)).map((each) => join(DRAWN, 'train', name, each));

async function makeClass(name: string, button: string): Promise<void> {
  await seen('button', button).click();
  await seen('textbox', 'Name').fill(name);
  await seen('button', 'Make it').click();
  await page.waitForSelector(`::-p-aria([role="heading"][name="${name}"])`);
}

describe.skipIf(executablePath === undefined)('the studio in Firefox (skipped where there is none)', () => {
  beforeAll(async () => {
    await drawPictures(DRAWN, { set: 'demo', trainPerClass: PER_CLASS, valPerClass: 1, size: 48, seed: 4 });
    mkdirSync(RUNS);
    const folders = { data: join(WORK, 'photos'), runs: RUNS, cache: join(WORK, 'cache') };
    studio = await startStudio({ ...folders, usualModel: SMALL_CNN, port: 0 });
    browser = await puppeteer.launch({ browser: 'firefox', executablePath: executablePath ?? '', headless: true });
    page = await browser.newPage();
    page.setDefaultTimeout(120_000);
    page.on('console', (message) => said.push(message.text()));
    page.on('pageerror', (error) => said.push(String(error)));
    await page.setViewport({ width: 1280, height: 800 });
  });
  afterAll(async () => {
    await browser.close();
    await studio.close();
  });

  it('opens with the token, which the address does not keep', async () => {
    await page.goto(studio.url);
    await text('No photos yet');
    expect(new URL(page.url()).search).toBe('');
  });

  it('makes classes, takes photos for each, and shows how good the live head is', async () => {
    for (const [place, name] of CLASSES.entries()) {
      await makeClass(name, place === 0 ? 'Make the first class' : 'New class');
      await choose(...photosOf(name));
      await text(`${PER_CLASS} photos added`);
      await page.waitForFunction(`document.querySelectorAll('.grid img').length === ${PER_CLASS}`);
    }
    await text('95 % interval');
    const broken = `[...document.querySelectorAll('.grid img')].filter(({ complete, naturalWidth }) => complete && naturalWidth === 0).length`;
    expect(await page.evaluate(broken)).toBe(0);
  });

  it('trains to the end, and shows the curves and the run', async () => {
    await page.locator('nav a[href="#train"]').click();
    await seen('spinbutton', 'Epochs').fill('3');
    await seen('button', 'Train').click();
    await text('It took');
    await page.locator('nav a[href="#runs"]').click();
    const [run = ''] = readdirSync(RUNS).filter((name) => /F1C\d$/.test(name));
    await seen('button', run).click();
    await text('Each class');
  });

  it('shows what was learned, and classifies a photo', async () => {
    await page.locator('nav a[href="#look"]').click();
    await text('that validate are right');
    await choose(photosOf('cup')[0] ?? '');
    await page.waitForSelector('.answer');
  });

  it('has nothing to complain of', () => {
    expect(said).toEqual([]);
  });
});
