import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { browser } from '../chromium.js';
import { BUILT, cells, drop, PageOpener, toast, writePhotos } from './pageOpener.js';

const opener = new PageOpener();
const open = opener.open.bind(opener);
let dropped: string;
beforeAll(async () => {
  await opener.begin();
  dropped = await writePhotos();
});
afterEach(() => opener.closePages());
afterAll(() => opener.end());

describe.skipIf(browser === undefined)('the page of the studio (skipped where there is no Chromium)', () => {
  it('has no inline script or style, and weighs less than 250 kB as it is sent', () => {
    const files = readdirSync(BUILT, { recursive: true, encoding: 'utf8' }).map((name) => join(BUILT, name));
    const sizes = files.filter((path) => statSync(path).isFile()).map((path) => gzipSync(readFileSync(path)).length);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(250_000);
    const html = readFileSync(join(BUILT, 'index.html'), 'utf8');
    expect(html).not.toMatch(/<style|style=|<script(?![^>]*src=)|\son\w+=|https?:/);
  });

  it('makes classes of folders that are dropped, refuses what is no photo, and shows what the live head says', async () => {
    const { page, studio, said } = await open({});
    await page.getByText('No photos yet').waitFor();
    await drop(page, [dropped]);
    await page.getByText('18 photos added, 2 refused').waitFor();
    await page.getByText('labels.csv: it is no picture by its name').waitFor();
    await page.getByText(/^broken\.jpg: it is text/).waitFor();
    // A name that would be markup is text.
    await page.getByRole('link', { name: '<img onerror=alert(1)> 6 photos' }).click();
    await expect.poll(() => cells(page).count()).toBe(6);
    await page.getByText('95 % interval').waitFor();
    expect([...studio.photos.keys()].sort()).toEqual(['<img onerror=alert(1)>', 'cat', 'dog']);
    await drop(page, [join(dropped, 'dog', '1.jpg'), join(dropped, 'cat', '2.jpg')]);
    await page.getByText('2 photos added').waitFor();
    expect(studio.photos.get('<img onerror=alert(1)>')).toHaveLength(8);
    await drop(page, [join(dropped, 'dog')]);
    await page.getByText('6 there already').waitFor();
    expect(said).toEqual([]);
  });

  it('lets go by itself of what was added, unless something was refused', async () => {
    const { page } = await open({});
    await page.clock.install();
    await drop(page, [join(dropped, 'dog')]);
    await page.getByText('6 photos added').waitFor();
    await page.clock.fastForward(60_000);
    await page.getByText('6 photos added').waitFor({ state: 'detached' });
    await drop(page, [join(dropped, 'cat')]);
    await page.getByText('6 photos added, 2 refused').waitFor();
    await page.clock.fastForward(60_000);
    await page.getByText('Adding 8 files').waitFor({ state: 'detached' });
    expect(await page.getByText('6 photos added, 2 refused').count()).toBe(1);
  });

  it('does not call it a fault that there are no photos yet', async () => {
    const { page, studio } = await open({});
    await page.getByText('No photos yet').waitFor();
    expect(await page.locator('.problem').count()).toBe(0);
    await page.getByRole('link', { name: 'Train' }).click();
    await page.getByText('Photos come first').waitFor();
    expect(await page.getByRole('button', { name: 'Train', exact: true }).isDisabled()).toBe(true);
    expect(await page.getByRole('button', { name: 'Recommend' }).isDisabled()).toBe(true);
    await page.getByRole('link', { name: 'Add photos' }).click();
    await drop(page, [join(dropped, 'dog')]);
    // Of one class alone nothing can be learned, which is told once.
    await page.getByText('photos of fewer than two classes').waitFor();
    expect(await page.getByText('photos of fewer than two classes').count()).toBe(1);
    expect(studio.photos.size).toBe(1);
  });

  it('takes files and folders by its buttons', async () => {
    const { page, studio } = await open({ bird: 3, fish: 3 });
    await page
      .locator('input[type=file]')
      .first()
      .setInputFiles([join(dropped, 'dog', '1.jpg')]);
    await page.getByText('1 photo added').waitFor();
    await page.locator('input[type=file]').nth(1).setInputFiles(join(dropped, 'cat'));
    await page.getByText('6 photos added, 2 refused').waitFor();
    // A folder without others in it, chosen for a class, is of that class whatever its name.
    expect(studio.photos.get('bird')).toHaveLength(10);
  });

  it('tells how far uploads are, and gives them up', async () => {
    const { page, studio } = await open({ bird: 3, fish: 3 });
    studio.instead.set('PUT photos', () => new Promise(() => undefined));
    await page
      .locator('input[type=file]')
      .first()
      .setInputFiles([join(dropped, 'dog', '1.jpg'), join(dropped, 'dog', '2.jpg')]);
    await page.getByText('0 of 2').waitFor();
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByText('0 photos added').waitFor();
  });

  it('selects, opens, moves and deletes photos by keys, and takes it back', async () => {
    const { page, studio } = await open({ cat: 40, dog: 10 });
    await page.getByRole('link', { name: 'cat 40 photos' }).click();
    await cells(page).first().focus();
    await page.keyboard.press('Space');
    await page.keyboard.press('Shift+ArrowRight');
    await page.keyboard.press('Shift+ArrowDown');
    const selected = page.locator('[role=gridcell][aria-selected=true]');
    const columns = Number(await page.getByRole('grid').getAttribute('aria-colcount'));
    expect(await selected.count()).toBe(columns + 2);
    expect(await page.evaluate('document.activeElement.getAttribute("aria-colindex")')).toBe('2');
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await expect.poll(() => page.evaluate('document.activeElement.getAttribute("role")')).toBe('gridcell');
    await page.keyboard.press('Delete');
    await toast(page, `${columns + 2} photos deleted`)
      .getByRole('button', { name: 'Undo' })
      .click();
    await toast(page, 'came back').waitFor();
    expect(studio.photos.get('cat')).toHaveLength(40);
    await cells(page).first().focus();
    // The list of what came back may be on its way.
    await expect
      .poll(async () => {
        await page.keyboard.press('Control+a');
        return page.getByText('40 of 40 selected').count();
      })
      .toBe(1);
    await page.keyboard.press('m');
    await page.getByRole('dialog').getByRole('button', { name: 'dog', exact: true }).click();
    await toast(page, '40 photos moved to “dog”').getByRole('button', { name: 'Undo' }).click();
    await expect.poll(() => studio.photos.get('cat')?.length).toBe(40);
    expect(studio.photos.get('dog')).toHaveLength(10);
  });

  it('makes, renames, merges and deletes classes, and the bin gives them back', async () => {
    const { page, studio } = await open({ cat: 4, dog: 4 });
    const answer = async (name: string, action: string) => {
      await page.getByRole('dialog').getByRole('textbox').fill(name);
      await page.getByRole('dialog').getByRole('button', { name: action }).click();
    };
    await page.getByRole('button', { name: 'New class' }).click();
    await answer('bird', 'Make it');
    await page.getByRole('heading', { name: 'bird' }).waitFor();
    await page.getByText('No photos in this class yet').waitFor();
    await page.getByRole('button', { name: 'Rename …' }).click();
    await answer('heron', 'Rename');
    await page.getByRole('heading', { name: 'heron' }).waitFor();
    await page.getByRole('link', { name: /^cat/ }).click();
    await page.getByRole('button', { name: 'Merge into …' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'heron' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Merge', exact: true }).click();
    await toast(page, '4 photos moved to “heron”').waitFor();
    expect([...studio.photos.keys()]).toEqual(['dog', 'heron']);
    // An empty class would be deleted without a question.
    await page.getByRole('link', { name: 'heron 4 photos' }).waitFor();
    await page.getByRole('button', { name: 'Delete class …' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete', exact: true }).click();
    await page.getByRole('button', { name: 'Bin (1)' }).click();
    await page.getByRole('button', { name: 'Give back class heron' }).click();
    await page.getByRole('link', { name: 'heron 4 photos' }).waitFor();
  });

  it('says what is wrong with the photos, and bins copies', async () => {
    const { page, studio } = await open({ cat: 10, dog: 10 });
    await page.getByRole('button', { name: 'Check the photos' }).click();
    await page.getByText('1 photo cannot be read').waitFor();
    await page.getByText('4.1 times as many').waitFor();
    await page.getByRole('button', { name: 'Delete all of these' }).click();
    await toast(page, '1 photo deleted').waitFor();
    await page.getByRole('button', { name: 'Delete dog/00000.jpg' }).click();
    await page.getByRole('button', { name: 'Delete 1 copy within a class' }).click();
    await expect.poll(() => studio.photos.get('cat')?.length).toBe(8);
    expect(studio.photos.get('dog')).toHaveLength(9);
  });

  it('takes photos with the camera while a button is held, and lets the camera go', async () => {
    const { page, studio, said } = await open({ cat: 3, dog: 3 });
    const camera = page.getByRole('button', { name: 'Camera', exact: true });
    await camera.click();
    const hold = page.getByRole('button', { name: 'Hold to take photos' });
    await expect.poll(() => hold.isEnabled()).toBe(true);
    await hold.hover();
    await page.mouse.down();
    await page.getByRole('button', { name: 'Taking photos …' }).waitFor();
    await expect.poll(() => studio.photos.get('cat')?.length).toBeGreaterThan(5);
    await page.mouse.up();
    await hold.focus();
    await page.keyboard.down('Space');
    await page.getByRole('button', { name: 'Taking photos …' }).waitFor();
    await page.keyboard.up('Space');
    await hold.waitFor();
    await page.evaluate(`window.track = document.querySelector('video').srcObject.getVideoTracks()[0]`);
    const isLive = () => page.evaluate(`window.track.readyState === 'live'`);
    expect(await isLive()).toBe(true);
    await camera.click();
    await expect.poll(isLive).toBe(false);
    expect(said).toEqual([]);
  });

  it('says when the server is gone, and goes on when it is back', async () => {
    const { page, studio } = await open({ cat: 5, dog: 5 });
    await page.getByRole('link', { name: 'cat 5 photos' }).waitFor();
    await studio.stop();
    await page.getByText('does not answer; what is shown may be old').waitFor();
    await page.getByRole('button', { name: 'New class' }).click();
    await page.getByRole('dialog').getByRole('textbox').fill('bird');
    await page.getByRole('dialog').getByRole('button', { name: 'Make it' }).click();
    await toast(page, 'does not answer').waitFor();
    studio.photos.set('bird', []);
    await studio.comeBack();
    await page.getByText('does not answer; what is shown may be old').waitFor({ state: 'detached' });
    await page.getByRole('link', { name: 'bird 0 photos' }).waitFor();
  });

  it('shows the same in two windows', async () => {
    const { page, studio } = await open({ cat: 5, dog: 5 });
    const other = await page.context().newPage();
    await other.goto(studio.url);
    await other.getByRole('button', { name: 'New class' }).click();
    await other.getByRole('dialog').getByRole('textbox').fill('bird');
    await other.getByRole('dialog').getByRole('button', { name: 'Make it' }).click();
    await page.getByRole('link', { name: 'bird 0 photos' }).waitFor();
  });

  it('holds only the photos that are seen, of ten thousand', async () => {
    const { page, studio } = await open({ cat: 10_000, dog: 3 });
    await cells(page).first().waitFor();
    expect(await cells(page).count()).toBeLessThan(150);
    const scrollTo = (share: number) =>
      `{ const box = document.querySelector('.grid-box'); box.scrollTop = box.scrollHeight * ${share}; }`;
    for (let step = 1; step <= 10; step++) await page.evaluate(scrollTo(step / 10));
    await page.getByRole('gridcell', { name: '09999.jpg' }).waitFor();
    await expect.poll(() => page.locator('.grid [data-state=waiting]').count()).toBe(0);
    expect(await cells(page).count()).toBeLessThan(150);
    // What passed by was not asked for.
    expect(studio.asked.filter((each) => each === 'GET thumbnail').length).toBeLessThan(400);
    await cells(page).last().focus();
    await page.keyboard.press('Control+Home');
    await page.getByRole('gridcell', { name: '00000.jpg' }).waitFor();
    expect(await page.evaluate('document.activeElement.getAttribute("aria-label")')).toBe('00000.jpg, validates');
  });
});
