import { describe, expect, it, vi } from 'vitest';
import type { Live, StudioEvent } from '../../src/studio/api.js';
import { EventHub } from '../../src/studio/server/eventHub.js';
import { StudioSettings } from '../../src/studio/server/studioSettings.js';
import { folder, listening, photo, some, TOKEN, write } from './studio.js';

const live = (done: number): StudioEvent => ({
  type: 'live',
  live: { state: 'features', done, total: 100 } satisfies Live,
});
const jobs: StudioEvent = { type: 'jobs', jobs: [] };

/** Reads a stream's events as they come. */
function listen(stream: ReadableStream<Uint8Array>) {
  const heard: StudioEvent[] = [];
  const reader = stream.getReader();
  const ended = (async () => {
    let text = '';
    for (let step = await reader.read(); !step.done; step = await reader.read()) {
      text += Buffer.from(step.value).toString('utf8');
      const parts = text.split('\n\n');
      text = parts.pop() ?? '';
      for (const part of parts) if (part.startsWith('data: ')) heard.push(JSON.parse(part.slice(6)) as StudioEvent);
    }
  })();
  return { heard, ended, leave: () => reader.cancel() };
}

const projectsIn = (events: readonly StudioEvent[]) =>
  events.flatMap((event) => (event.type === 'project' ? [event.project] : []));

describe('events', () => {
  it('begin with all that is known, then tell what changes', async () => {
    const hub = new EventHub();
    hub.publish(live(1));
    hub.publish(jobs);
    const page = listen(hub.stream());
    await vi.waitFor(() => expect(page.heard).toEqual([live(1), jobs]));
    hub.publish(live(2));
    await vi.waitFor(() => expect(page.heard.at(-1)).toEqual(live(2)));
    hub.close();
    await page.ended;
    expect(hub.size).toBe(0);
  });

  it('come at most five times a second of each kind, the last one always', async () => {
    const hub = new EventHub();
    const page = listen(hub.stream());
    const began = performance.now();
    let count = 0;
    while (performance.now() - began < 700) {
      hub.publish(live(++count));
      await new Promise((done) => setTimeout(done, 5));
    }
    await vi.waitFor(() => expect(page.heard.at(-1)).toEqual(live(count)));
    const seconds = (performance.now() - began) / 1000;
    expect(page.heard.length).toBeLessThanOrEqual(Math.floor(seconds * 5) + 1);
    hub.close();
  });

  it('are kept for nobody who reads slowly, nor sent to who has left', async () => {
    const hub = new EventHub();
    const stream = hub.stream();
    const page = listen(hub.stream());
    for (const done of [1, 2, 3]) {
      hub.publish(live(done));
      await vi.waitFor(() => expect(page.heard.at(-1)).toEqual(live(done)));
    }
    // It had not read until now.
    const slow = listen(stream);
    await vi.waitFor(() => expect(slow.heard).toEqual([live(3)]));
    await slow.leave();
    await page.leave();
    expect(hub.size).toBe(0);
    hub.publish(live(4));
    hub.close();
  });

  it('reach all pages over the network, and end with them', async () => {
    const data = folder();
    await write(data, { ...some('cat', 2), ...some('dog', 2, 10) });
    const running = await listening(data);
    const { origin } = new URL(running.url);
    const headers = { Authorization: `Bearer ${TOKEN}` };
    const leaving = new AbortController();
    const pages = await Promise.all(
      [1, 2].map(async () => {
        const answer = await fetch(`${origin}/api/events`, { headers, signal: leaving.signal });
        expect(answer.headers.get('content-type')).toMatch(/^text\/event-stream/);
        if (!answer.body) throw new Error('there is no body');
        return listen(answer.body);
      }),
    );
    for (const { heard, ended } of pages) {
      ended.catch(() => undefined);
      await vi.waitFor(() =>
        expect(projectsIn(heard)[0]?.classes).toMatchObject([{ name: 'cat', photos: 2 }, { name: 'dog' }]),
      );
      expect(new Set(heard.map(({ type }) => type))).toEqual(new Set(['project', 'runs', 'jobs', 'live']));
    }
    await fetch(`${origin}/api/photos?class=cat&name=new.jpg`, {
      method: 'PUT',
      headers,
      body: new Uint8Array(await photo(99)),
    });
    for (const { heard } of pages)
      await vi.waitFor(() => expect(projectsIn(heard).at(-1)?.classes).toMatchObject([{ photos: 3 }, { photos: 2 }]), {
        timeout: 20_000,
      });
    leaving.abort();
    await vi.waitFor(() => expect(running.studio.events.size).toBe(0));
  });
});

describe('settings', () => {
  it('are kept among the runs, and told to all pages', async () => {
    const runs = folder();
    const first = await StudioSettings.open(runs, 'usual');
    expect(first.current).toEqual({ model: 'usual', live: true });
    await first.change({ live: false, model: 'other' });
    expect((await StudioSettings.open(runs, 'usual')).current).toEqual({ model: 'other', live: false });
    expect((await StudioSettings.open(runs, 'usual', 'named')).current).toEqual({ model: 'named', live: false });
  });
});
