import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium, type Browser, type Locator, type Page } from 'playwright-core';
import sharp from 'sharp';
import { browser } from '../chromium.js';
import { FakeStudio } from './fakeServer.js';

/** The built page. */
export const BUILT = fileURLToPath(new URL('../../dist/studio/page', import.meta.url));

export interface OpenPage {
  readonly studio: FakeStudio;
  readonly page: Page;
  /** What the console had to say, and what was asked of others: nothing. */
  readonly said: string[];
}

interface Wanted {
  readonly colorScheme?: 'light' | 'dark';
  readonly width?: number;
  readonly view?: string;
}

/** Opens the page in Chromium, each time with a fake server of its own. */
export class PageOpener {
  private chromium: Browser | undefined;
  private readonly studios: FakeStudio[] = [];
  private readonly pages: Page[] = [];

  async begin(): Promise<void> {
    if (browser === undefined) return;
    this.chromium = await chromium.launch({
      executablePath: browser,
      args: ['--no-sandbox', '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'],
    });
  }

  /** @param classes how many photos each has. */
  async open(
    classes: Readonly<Record<string, number>>,
    { colorScheme = 'light', width = 1280, view = '' }: Wanted = {},
  ): Promise<OpenPage> {
    if (!this.chromium) throw new Error('there is no Chromium');
    const studio = await FakeStudio.start(BUILT, classes);
    this.studios.push(studio);
    const viewport = { width, height: 800 };
    const context = await this.chromium.newContext({ colorScheme, viewport, permissions: ['camera'] });
    const page = await context.newPage();
    page.setDefaultTimeout(15_000);
    this.pages.push(page);
    const said: string[] = [];
    page.on('console', (message) => {
      // What the tests make the server refuse, Chromium tells by itself.
      if (!/^Failed to load resource: the server responded with a status of 4/.test(message.text()))
        said.push(message.text());
    });
    page.on('pageerror', ({ message }) => said.push(message));
    page.on('request', (request) => {
      if (!request.url().startsWith(studio.url)) said.push(request.url());
    });
    await page.goto(`${studio.url}${view}`);
    await page.getByRole('main').waitFor();
    return { studio, page, said };
  }

  async closePages(): Promise<void> {
    for (const page of this.pages.splice(0)) await page.context().close();
    for (const studio of this.studios.splice(0)) await studio.stop();
  }

  async end(): Promise<void> {
    await this.chromium?.close();
  }
}

async function photo(red: number): Promise<Buffer> {
  const background = { r: red, g: 90, b: 160 };
  return sharp({ create: { width: 40, height: 30, channels: 3, background } })
    .jpeg()
    .toBuffer();
}

/** A folder with three folders of six photos that differ, in one of them with two files that are none. */
export async function writePhotos(): Promise<string> {
  const root = join(mkdtempSync(join(tmpdir(), 'ort-tl-')), 'photos');
  for (const [place, name] of ['cat', 'dog', '<img onerror=alert(1)>'].entries()) {
    mkdirSync(join(root, name), { recursive: true });
    for (let index = 0; index < 6; index++)
      writeFileSync(join(root, name, `${index}.jpg`), await photo(60 * place + 5 * index));
  }
  writeFileSync(join(root, 'cat', 'broken.jpg'), 'this is text, and no photo at all');
  writeFileSync(join(root, 'cat', 'labels.csv'), 'a,b');
  return root;
}

/** Drops files or folders of this machine on the page, as a hand would. */
export async function drop(page: Page, files: readonly string[]): Promise<void> {
  const session = await page.context().newCDPSession(page);
  for (const type of ['dragEnter', 'dragOver', 'drop'] as const)
    await session.send('Input.dispatchDragEvent', {
      ...{ type, x: 640, y: 500 },
      data: { items: [], files: [...files], dragOperationsMask: 1 },
    });
}

export const cells = (page: Page): Locator => page.getByRole('gridcell');
export const toast = (page: Page, text: string | RegExp): Locator => page.locator('.toast', { hasText: text });
