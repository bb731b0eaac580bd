// What the benchmark of the studio needs around it: a server of its own, a Chromium, and what it looks at in the page.
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { z } from 'zod';

/** @import { Browser, Page } from 'playwright-core' */

const cli = fileURLToPath(new URL('../dist/bin/start.cjs', import.meta.url));
const BROWSERS = ['chromium', 'chromium-browser', 'google-chrome'].map((name) => `/usr/bin/${name}`);
const executablePath = [process.env['CHROMIUM'] ?? '', ...BROWSERS].find((path) => path !== '' && existsSync(path));

/**
 * @typedef {object} Server `ort-tl studio` in a process of its own
 * @property {string} url with its token
 * @property {string} origin
 * @property {(path: string, body: object) => Promise<unknown>} post asks what the page asks
 * @property {() => number} residentBytes of the process and those that it started
 * @property {() => Promise<void>} close
 */

/**
 * Starts the studio, and waits until it listens.
 * @param {{ data: string, runs: string, cache: string, model: string | undefined }} options
 * @returns {Promise<Server>}
 */
export async function startServer({ data, runs, cache, model }) {
  const flags = ['--data', data, '--runs', runs, '--cache', cache, '--port', '0', '--no-open', '--json'];
  const child = spawn(process.execPath, [cli, 'studio', ...flags, ...(model === undefined ? [] : ['--model', model])], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const url = await Promise.race([
    new Promise((/** @type {(url: string) => void} */ resolve) =>
      createInterface({ input: child.stdout }).on('line', (line) => {
        const [, found] = /"url": "([^"]+)"/.exec(line) ?? [];
        if (found !== undefined) resolve(found);
      }),
    ),
    ended.then(() => Promise.reject(new Error('the studio ended before it listened'))),
  ]);
  const { origin, searchParams } = new URL(url);
  const authorization = `Bearer ${searchParams.get('token') ?? ''}`;
  return {
    url,
    origin,
    post: async (path, body) => {
      const headers = { authorization, 'content-type': 'application/json' };
      const reply = await fetch(`${origin}/api/${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
      if (!reply.ok) throw new Error(`${path}: ${await reply.text()}`);
      return reply.json();
    },
    residentBytes: () => familyOf(child.pid ?? 0).reduce((sum, pid) => sum + memoryOf(pid).rss, 0),
    close: async () => {
      child.kill('SIGINT');
      await ended;
    },
  };
}

/** A Chromium without windows. @returns {Promise<Browser>} */
export function openBrowser() {
  if (executablePath === undefined) throw new Error('there is no Chromium; CHROMIUM=path names one');
  return chromium.launch({ executablePath, args: ['--no-sandbox'] });
}

/**
 * A page with what {@link PROBE} looks at, which knows the token afterwards.
 * @param {Browser} browser
 * @param {Server} server
 */
export async function openPage(browser, server) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  await page.addInitScript({ content: PROBE });
  await page.goto(server.url);
  await page.getByRole('main').waitFor();
  return page;
}

/**
 * Drops files or folders of this machine on the page, as a hand would.
 * @param {Page} page
 * @param {readonly string[]} files
 */
export async function drop(page, files) {
  const session = await page.context().newCDPSession(page);
  for (const type of /** @type {const} */ (['dragEnter', 'dragOver', 'drop']))
    await session.send('Input.dispatchDragEvent', {
      ...{ type, x: 640, y: 500 },
      data: { items: [], files: [...files], dragOperationsMask: 1 },
    });
  await session.detach();
}

const adding = z.object({ took: z.number(), uploaded: z.number(), head: z.string() });
/**
 * Waits until the accuracy of so many photos is on the screen. `took`: ms from the answer to the last photo that was sent; `uploaded`: ms
 * from the first to the last answer; `head`: what the page says that the head took.
 * @param {Page} page
 * @param {number} photos
 */
export const accuracyOf = async (page, photos) => adding.parse(await page.evaluate(`probe.accuracyOf(${photos})`));

const frames = z.object({ frames: z.number(), longest: z.number(), over100: z.number(), longestTask: z.number() });
/**
 * Longest gap between frames and longest task, in ms, while the page is scrolled there and back for as long as `work` takes.
 * @param {Page} page
 * @param {() => Promise<unknown>} work
 */
export async function framesWhile(page, work) {
  await page.mouse.move(800, 600);
  await page.evaluate('probe.watch()');
  let isDone = false;
  const scrolling = async () => {
    for (let step = 0; !isDone; step++) {
      await page.mouse.wheel(0, step % 60 < 30 ? 150 : -150);
      await page.waitForTimeout(40);
    }
  };
  const working = async () => {
    try {
      await work();
    } finally {
      isDone = true;
    }
  };
  await Promise.all([scrolling(), working()]);
  return frames.parse(await page.evaluate('probe.watched()'));
}

const pictures = z.object({ first: z.number(), all: z.number() });
/** Ms from the beginning of the navigation to the first thumbnail, and to all that are seen. @param {Page} page */
export async function thumbnailsOf(page) {
  return pictures.parse(await page.evaluate('probe.thumbnails'));
}

/**
 * Memory of the largest renderer of a browser, after its garbage was collected, in bytes.
 * @param {Browser} browser
 * @param {Page} page
 */
export async function rendererMemory(browser, page) {
  const [whole, own] = [await browser.newBrowserCDPSession(), await page.context().newCDPSession(page)];
  await own.send('HeapProfiler.collectGarbage');
  await page.waitForTimeout(500);
  await own.send('Performance.enable');
  const { metrics } = await own.send('Performance.getMetrics');
  const heap = metrics.find(({ name }) => name === 'JSHeapUsedSize')?.value ?? NaN;
  const { processInfo } = await whole.send('SystemInfo.getProcessInfo');
  const all = processInfo.filter(({ type }) => type === 'renderer').map(({ id }) => memoryOf(id));
  const [largest = { pss: NaN, rss: NaN }] = all.sort((a, b) => b.pss - a.pss);
  return { ...largest, heap };
}

/** Proportional and resident set of a process in bytes; 0 of one that is gone. @param {number} pid */
function memoryOf(pid) {
  const text = textOf(`/proc/${pid}/smaps_rollup`);
  /** @param {string} name */
  const of = (name) => 1024 * Number(new RegExp(`^${name}:\\s*(\\d+) kB`, 'm').exec(text)?.[1] ?? 0);
  return { pss: of('Pss'), rss: of('Rss') };
}

/** A process and those that it started, as far as Linux tells. @param {number} root */
function familyOf(root) {
  const parents = new Map(
    readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((name) => [Number(name), Number(/\) \S (\d+)/.exec(textOf(join('/proc', name, 'stat')))?.[1])]),
  );
  const found = [root];
  for (const one of found) for (const [pid, parent] of parents) if (parent === one) found.push(pid);
  return found;
}

/** @param {string} path */
function textOf(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Runs in the page before its own script. */
const PROBE = String.raw`(() => {
  const probe = {};
  window.probe = probe;
  let [firstAnswer, lastAnswer, answers] = [0, 0, 0];
  const send = window.fetch;
  window.fetch = async (address, options) => {
    const answer = await send(address, options);
    if (options?.method === 'PUT') {
      lastAnswer = performance.now();
      if (answers++ === 0) firstAnswer = lastAnswer;
    }
    return answer;
  };
  const counted = (text, words) => Number(new RegExp(words + ' ([\\d,]+) photo').exec(text)?.[1].replaceAll(',', '') ?? NaN);
  probe.accuracyOf = (photos) => new Promise((done) => {
    const look = () => {
      const strip = document.querySelector('.live');
      const text = strip?.querySelector('.live-result')?.textContent ?? '';
      const isThere = strip?.dataset.state === 'ready' && counted(text, 'top-1 of') + counted(text, 'trained on') === photos;
      if (!isThere) requestAnimationFrame(look);
      // What stands there when a frame begins is on the screen when the next one does.
      else requestAnimationFrame(() => {
        done({ took: performance.now() - lastAnswer, uploaded: lastAnswer - firstAnswer, head: /photos in (\S+\s\S*?s)/.exec(text)?.[1] ?? '' });
        answers = 0;
      });
    };
    look();
  });
  let tasks = [];
  new PerformanceObserver((list) => tasks.push(...list.getEntries().map(({ duration }) => duration))).observe({ type: 'longtask' });
  let gaps = [];
  let isWatching = false;
  probe.watch = () => {
    [tasks, gaps, isWatching] = [[], [], true];
    let last = performance.now();
    const next = () => {
      const now = performance.now();
      gaps.push(now - last);
      last = now;
      if (isWatching) requestAnimationFrame(next);
    };
    requestAnimationFrame(next);
  };
  probe.watched = () => {
    isWatching = false;
    return { frames: gaps.length, longest: Math.max(0, ...gaps), over100: gaps.filter((gap) => gap > 100).length, longestTask: Math.max(0, ...tasks) };
  };
  let first = 0;
  const lookForThumbnails = (done) => {
    const box = document.querySelector('.grid-box')?.getBoundingClientRect();
    const bottom = Math.min(innerHeight, box?.bottom ?? 0);
    const seen = [...document.querySelectorAll('.grid-box [role=gridcell]')].filter((cell) => {
      const { top } = cell.getBoundingClientRect();
      return top < bottom;
    });
    const there = seen.filter((cell) => cell.querySelector('[data-state=there]'));
    if (there.length > 0) first ||= performance.now();
    if (there.length > 0 && there.length === seen.length) done({ first, all: performance.now() });
    else requestAnimationFrame(() => lookForThumbnails(done));
  };
  probe.thumbnails = new Promise((done) => requestAnimationFrame(() => lookForThumbnails(done)));
})();`;
