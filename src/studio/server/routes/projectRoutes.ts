import { Hono } from 'hono';
import type { Studio } from '../makeStudio.js';
import { readJson } from '../requestBody.js';
import { changedSettings } from '../studioSettings.js';

/** What concerns the project as a whole: what happens in it, and what was chosen. */
export function projectRoutes({ events, workshop }: Studio): Hono {
  const app = new Hono();

  app.get('/events', (c) => {
    c.header('Content-Type', 'text/event-stream');
    return c.body(events.stream());
  });

  app.post('/settings', async (c) => {
    const { model, live } = await readJson(c, changedSettings);
    const change = { ...(model === undefined ? {} : { model }), ...(live === undefined ? {} : { live }) };
    return c.json(await workshop.change(change));
  });

  return app;
}
