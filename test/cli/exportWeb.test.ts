import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { drawPictures } from '../../src/data/pictures.js';
import { browser } from '../chromium.js';
import { SMALL_CNN } from '../models.js';
import { cli, folder } from './cli.js';

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css',
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
};

let at: string;
let run: string;
let photo: string;
const servers: Server[] = [];

beforeAll(async () => {
  at = folder();
  run = join(at, 'run');
  const pictures = join(at, 'pictures');
  await drawPictures(pictures, { set: 'demo', trainPerClass: 12, valPerClass: 4, size: 48, seed: 1 });
  const flags = ['--model', SMALL_CNN, '--data', pictures, '--epochs', '3', '--threads', '1', '--out', run];
  expect(cli(['train', ...flags]).status).toBe(0);
  const boats = join(pictures, 'val', 'boat');
  photo = join(boats, readdirSync(boats)[0] ?? '');
});

afterAll(() => {
  for (const server of servers) server.close();
});

/** Any static server: no headers but the type. */
async function serve(files: string): Promise<string> {
  const server = createServer(({ url = '/' }, response) => {
    const path = join(files, normalize(url === '/' ? '/index.html' : url));
    if (!existsSync(path)) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { 'content-type': TYPES[extname(path)] ?? 'application/octet-stream' });
    response.end(readFileSync(path));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('unreachable');
  return `http://127.0.0.1:${address.port}/`;
}

const SEEN = `[...document.querySelectorAll('#classes li')].map((item) => ({
  label: item.children[0].textContent,
  percent: parseFloat(item.children[1].textContent),
  bar: item.querySelector('i').getBoundingClientRect().width / item.querySelector('.bar').getBoundingClientRect().width,
}))`;
const seenSchema = z.array(z.object({ label: z.string(), percent: z.number(), bar: z.number() }));
const seen = async (page: Page) => seenSchema.parse(await page.evaluate(SEEN));
const CLEAR = `document.getElementById('classes').replaceChildren()`;
/** Drops the file in `input` on the window. */
const DROP = `(bytes) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([Uint8Array.from(bytes)], 'dropped.png', { type: 'image/png' }));
  window.dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true }));
}`;
/** The lowest contrast of text against what is behind it, by WCAG 2.2. */
const CONTRAST = `(() => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => channels(colour).slice(0, 3).map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, index) => sum + c * [0.2126, 0.7152, 0.0722][index], 0);
  const canvas = (colour) => { const probe = document.createElement('div'); probe.style.color = colour; document.body.append(probe);
    const computed = getComputedStyle(probe).color; probe.remove(); return computed; };
  const ground = light(canvas('Canvas'));
  return Math.min(...[...document.querySelectorAll('h1, h2, p, label, li span')].map((element) => {
    const ink = light(getComputedStyle(element).color);
    return (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
  }));
})()`;

it.skipIf(browser === undefined)(
  'exports a page that classifies a chosen picture, a dropped one and what the camera sees, offline, light and dark',
  async () => {
    const opened = await chromium.launch({
      executablePath: browser ?? '',
      args: ['--no-sandbox', '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'],
    });
    try {
      for (const [colorScheme, flags] of [
        ['light', ['--precision', 'int8', '--keep-float', 'first']],
        ['dark', ['--preprocessing', 'baked', '--softmax', '--batch', '2']],
      ] as const) {
        const out = join(at, `page-${colorScheme}`);
        expect(cli(['export', run, '--format', 'web', ...flags, '--quiet', '--out', out])).toMatchObject({
          status: 0,
          stderr: '',
        });
        expect(readdirSync(out).sort()).toEqual([
          ...['classify.js', 'index.html', 'labels.txt', 'model.json', 'model.onnx', 'ort', 'style.css'],
        ]);
        const address = await serve(out);
        const context = await opened.newContext({ colorScheme, viewport: { width: 400, height: 800 } });
        await context.grantPermissions(['camera'], { origin: address });
        const page = await context.newPage();
        const said: string[] = [];
        page.on('console', (message) => said.push(message.text()));
        page.on('pageerror', ({ message }) => said.push(message));
        page.on('request', (request) => {
          const url = request.url();
          if (!url.startsWith(address) && !/^(blob|data):/.test(url)) said.push(url);
        });
        await page.goto(address);
        await page.locator('#state', { hasText: 'Ready: 6 classes.' }).waitFor();
        await page.getByLabel('Drop a picture here, or choose one').setInputFiles(photo);
        await page.locator('#state', { hasText: 'Classified' }).waitFor();
        const chosen = await seen(page);
        const predicted = z
          .array(z.object({ classes: z.array(z.object({ label: z.string(), probability: z.number() })) }))
          .parse(
            JSON.parse(cli(['predict', '--model', join(run, 'model.onnx'), photo, '--top', '5', '--json']).stdout),
          );
        const [best] = predicted[0]?.classes ?? [];
        expect(chosen).toHaveLength(5);
        expect(chosen[0]?.label).toBe(best?.label);
        // Another decoder, and another resizing.
        expect(Math.abs((chosen[0]?.percent ?? NaN) / 100 - (best?.probability ?? NaN))).toBeLessThan(0.1);
        expect(chosen[0]?.bar).toBeCloseTo((chosen[0]?.percent ?? NaN) / 100, 1);
        expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(400);
        // WCAG 2.2, level AA.
        expect(await page.evaluate(CONTRAST)).toBeGreaterThan(4.5);

        await page.evaluate(CLEAR);
        await page.evaluate(`(${DROP})(${JSON.stringify([...readFileSync(photo)])})`);
        await page.locator('#classes li').first().waitFor();
        expect(await seen(page)).toEqual(chosen);

        await page.evaluate(CLEAR);
        await page.getByRole('button', { name: 'Use the camera' }).click();
        await page.locator('#classes li').first().waitFor();
        await page.getByRole('button', { name: 'Stop the camera' }).click();
        await page.getByRole('button', { name: 'Use the camera' }).waitFor();
        await page.locator('#file').setInputFiles(join(out, 'labels.txt'));
        await page.locator('#state', { hasText: 'This file cannot be shown as a picture' }).waitFor();
        expect(said).toEqual([]);
        await context.close();
      }
    } finally {
      await opened.close();
    }
  },
  120_000,
);
