import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { JobRequest } from '../../src/studio/api.js';
import { browser } from '../chromium.js';
import { drop, PageOpener, toast, writePhotos } from './pageOpener.js';

const opener = new PageOpener();
const open = opener.open.bind(opener);
let dropped: string;
beforeAll(async () => {
  await opener.begin();
  dropped = await writePhotos();
});
afterEach(() => opener.closePages());
afterAll(() => opener.end());

describe.skipIf(browser === undefined)('models in the page of the studio (skipped where there is no Chromium)', () => {
  it('tells the cost, trains, draws curves, stops and goes on', async () => {
    const { page, studio } = await open({ cat: 40, dog: 40 }, { view: '#train' });
    await page.getByText('417,286').waitFor();
    await page.getByText('about 27 s').waitFor();
    await page.getByRole('radio', { name: /^full/ }).check();
    await page.getByText('about 6 min 9 s').waitFor();
    await page.getByRole('radio', { name: /^F1C1/ }).check();
    await page.getByLabel('Epochs').fill('200');
    await page.getByText('More settings').click();
    await page.getByLabel('Learning rate').fill('0.002');
    await page.getByLabel(/^Mirror photos/).check();
    let request: JobRequest | undefined;
    studio.instead.set('POST jobs', (_, body) => {
      const asked = JSON.parse(body.toString()) as JobRequest;
      request = asked;
      studio.instead.delete('POST jobs');
      return studio.startJob(asked);
    });
    await page.getByRole('button', { name: 'Train', exact: true }).click();
    await page.getByRole('img', { name: /^Loss by epoch/ }).waitFor();
    expect(request).toEqual({ kind: 'train', policy: 'F1C1', epochs: 200, flags: { lr: 0.002, flip: 0.5 } });
    await page.getByText(/epoch \d+ of 200/).waitFor();
    await page.getByRole('button', { name: 'Stop' }).click();
    const stopped = page.getByRole('region', { name: 'Stopped, and can go on' });
    await stopped.getByRole('button', { name: /^Go on with run-1/ }).click();
    await page.getByRole('heading', { name: 'Training goes on: run-1' }).waitFor();
  });

  it('tells how long a training takes as soon as one has told', async () => {
    const { page, studio } = await open({ cat: 40, dog: 40 }, { view: '#train' });
    const cost = { parameters: 4_020_358, trainableParameters: 417_286, memoryBytes: 1.2e9 };
    studio.instead.set('GET cost', () =>
      studio.runs.length === 0 ? cost : { ...cost, firstEpochMs: 9000, laterEpochMs: 2000 },
    );
    await page.getByLabel('Epochs').fill('3');
    await page.getByText('not known').waitFor();
    await page.getByRole('button', { name: 'Train', exact: true }).click();
    await page.getByText('about 13 s').waitFor();
  });

  it('recommends a policy with a table and a picture, and trains it', async () => {
    const { page } = await open({ cat: 40, dog: 40 }, { view: '#train' });
    await page.getByRole('button', { name: 'Recommend' }).click();
    await page.getByRole('img', { name: /F1C1 is recommended/ }).waitFor();
    await page.getByRole('cell', { name: '92.0 % (90.0–94.0 %)' }).waitFor();
    await page.getByRole('button', { name: 'Train F1C2' }).click();
    await page.getByRole('article', { name: 'Training run-2-F1C2' }).waitFor();
  });

  it('shows mistakes by cells, mends one by a click, and tries photos and the camera', async () => {
    const { page, studio, said } = await open({ cat: 100, dog: 100 }, { view: '#look' });
    await page.getByRole('button', { name: '3 photos of cat taken for dog' }).click();
    await page.getByRole('heading', { name: '3 photos of cat taken for dog' }).waitFor();
    await page.getByRole('button', { name: 'It is dog' }).first().click();
    await toast(page, '1 photo moved to “dog”').waitFor();
    await page.getByRole('heading', { name: '2 photos of cat taken for dog' }).waitFor();
    expect(studio.photos.get('dog')).toHaveLength(101);
    await drop(page, [join(dropped, 'cat', '1.jpg')]);
    await page.locator('.answer', { hasText: 'cat 83.0 %' }).waitFor();
    await page.locator('label', { hasText: /^Heat map$/ }).click();
    await page.getByRole('img', { name: 'The photo, with what spoke for the class' }).waitFor();
    await page.getByRole('slider').fill('0.9');
    await page.locator('.answer', { hasText: 'None of these' }).waitFor();
    await page.getByRole('button', { name: /keeps 95 %/ }).click();
    await page.locator('.answer', { hasText: 'cat 83.0 %' }).waitFor();
    const before = studio.asked.filter((each) => each === 'POST try').length;
    await page.getByRole('button', { name: 'Camera' }).click();
    await expect.poll(() => studio.asked.filter((each) => each === 'POST try').length).toBeGreaterThan(before + 3);
    await page.getByRole('button', { name: 'Stop the camera' }).click();
    expect(said).toEqual([]);
  });

  it('sorts runs, keeps notes, draws curves over each other, and asks before it deletes', async () => {
    const { page, studio } = await open({ cat: 40, dog: 40 }, { view: '#train' });
    await page.getByLabel('Epochs').fill('3');
    for (const policy of ['F1C0', 'F1C1']) {
      await page.getByRole('radio', { name: new RegExp(`^${policy}`) }).check();
      await page.getByRole('button', { name: 'Train', exact: true }).click();
      await expect.poll(() => studio.runs.some(({ name }) => name.endsWith(policy))).toBe(true);
    }
    await page.getByRole('link', { name: /^Runs/ }).click();
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    await expect.poll(() => page.locator('tbody th').allTextContents()).toEqual(['run-1-F1C0', 'run-2-F1C1']);
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    await expect.poll(() => page.locator('tbody th').allTextContents()).toEqual(['run-2-F1C1', 'run-1-F1C0']);
    await page.getByLabel('Compare run-1-F1C0').check();
    await page.getByLabel('Compare run-2-F1C1').check();
    await page.getByRole('img', { name: /^Top-1 in validation by epoch.*run-2-F1C1.*run-1-F1C0/ }).waitFor();
    await page.getByRole('button', { name: 'run-1-F1C0' }).click();
    await page.getByText('npx ort-tl train --data photos --policy F1C0').waitFor();
    await page.getByRole('textbox', { name: 'Notes' }).fill('a first try');
    await page.getByRole('button', { name: 'Save the notes' }).click();
    await page.getByRole('cell', { name: 'a first try' }).waitFor();
    await page.getByRole('button', { name: 'Delete …' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
    expect(studio.runs).toHaveLength(2);
    await page.getByRole('button', { name: 'Delete …' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete', exact: true }).click();
    await expect.poll(() => studio.runs.length).toBe(1);
  });

  it('exports a run, lets it be downloaded, and shows the programs of the documentation', async () => {
    const { page, studio } = await open({ cat: 40, dog: 40 }, { view: '#train' });
    await page.getByLabel('Epochs').fill('2');
    await page.getByRole('button', { name: 'Train', exact: true }).click();
    await expect.poll(() => studio.runs.length).toBe(1);
    await page.getByRole('link', { name: /^Export/ }).click();
    await page.getByRole('radio', { name: /^ONNX, int8/ }).check();
    await page.getByRole('button', { name: 'Export', exact: true }).click();
    const link = page.getByRole('link', { name: 'Download (16.3 MB)' });
    await link.waitFor();
    await page.getByText('99.6 %').waitFor();
    const [download] = await Promise.all([page.waitForEvent('download'), link.click()]);
    expect(statSync(await download.path()).size).toBe(22);
    const use = readFileSync(new URL('../../docs/use.md', import.meta.url), 'utf8');
    for (const language of ['Node.js', 'Browser', 'Python', 'C#']) {
      await page.getByRole('button', { name: language, exact: true }).click();
      const code = (await page.getByRole('region', { name: language, exact: true }).textContent()) ?? '';
      expect(code.length).toBeGreaterThan(500);
      expect(use).toContain(code);
    }
  });
});
