import { join } from 'node:path';
import axe from 'axe-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { browser } from '../chromium.js';
import { cells, PageOpener } from './pageOpener.js';

const axeSchema = z.array(z.object({ id: z.string(), impact: z.string().nullable(), nodes: z.array(z.string()) }));
/** Violations that keep somebody out, each with where. */
const VIOLATIONS = `axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations
  .filter(({ impact }) => impact === 'serious' || impact === 'critical')
  .map(({ id, impact, nodes }) => ({ id, impact, nodes: nodes.map(({ html }) => html) })))`;
/** Whoever wants pictures of the views says where they go. */
const PICTURES = process.env['ORT_TL_STUDIO_PICTURES'];

const opener = new PageOpener();
const open = opener.open.bind(opener);
beforeAll(() => opener.begin());
afterEach(() => opener.closePages());
afterAll(() => opener.end());

describe.skipIf(browser === undefined)('who uses the page of the studio (skipped where there is no Chromium)', () => {
  it.each([
    ['light', 1280],
    ['dark', 1280],
    ['light', 390],
    ['dark', 390],
  ] as const)('keeps nobody out: %s, %i pixels wide', async (colorScheme, width) => {
    const { page, studio, said } = await open(
      { cat: 60, dog: 45, 'a heron': 12 },
      { colorScheme, width, view: '#train' },
    );
    await page.getByLabel('Epochs').fill('12');
    await page.getByRole('button', { name: 'Train', exact: true }).click();
    await page.getByRole('button', { name: 'Recommend' }).click();
    await page.getByRole('img', { name: /F1C1 is recommended/ }).waitFor();
    await expect.poll(() => studio.runs.length).toBe(1);
    await page.evaluate(axe.source);
    const check = async (name: string) => {
      await page.evaluate('new Promise((done) => setTimeout(done, 300))');
      expect({ name, found: axeSchema.parse(await page.evaluate(VIOLATIONS)) }).toEqual({ name, found: [] });
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
      if (PICTURES !== undefined)
        await page.screenshot({ path: join(PICTURES, `${name}-${colorScheme}-${width}.png`), fullPage: true });
    };
    await check('train');
    for (const name of ['Photos', 'Look', 'Runs', 'Export']) {
      await page
        .getByRole('navigation')
        .getByRole('link', { name: new RegExp(`^${name}`) })
        .click();
      await expect.poll(() => page.title()).toBe(`${name} · ort-tl studio`);
      if (name === 'Photos') {
        await page.getByRole('button', { name: 'Check the photos' }).click();
        await page.getByText('cannot be read').waitFor();
        await cells(page).nth(1).click();
      }
      if (name === 'Look')
        await page
          .getByRole('button', { name: /taken for/ })
          .first()
          .click();
      if (name === 'Runs') {
        await page.getByRole('checkbox').first().check();
        await page.getByRole('button', { name: 'run-1-F1C1' }).click();
        await page.getByRole('heading', { name: 'Each class' }).waitFor();
      }
      if (name === 'Export') {
        await page.getByRole('button', { name: 'Export', exact: true }).click();
        await page.getByRole('link', { name: /^Download/ }).waitFor();
      }
      await check(name.toLowerCase());
    }
    await page.getByRole('link', { name: /^Photos/ }).click();
    await page.getByRole('button', { name: 'New class' }).click();
    await check('dialog');
    expect(said).toEqual([]);
  });
});
