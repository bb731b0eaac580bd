import { Hono } from 'hono';
import { z } from 'zod';
import { readJson } from '../requestBody.js';
import type { Workshop } from '../workshop.js';

const name = z.string().min(1).max(255);
const notesSchema = z.strictObject({ name, notes: z.string() });
const nameSchema = z.strictObject({ name });

/** What concerns single runs. */
export function runRoutes(workshop: Workshop): Hono {
  const { runs } = workshop;
  const app = new Hono();
  app.get('/runs', async (c) => c.json(await runs.details(c.req.query('name') ?? '')));
  app.post('/runs/notes', async (c) => {
    const { name: run, notes } = await readJson(c, notesSchema);
    await runs.note(run, notes);
    workshop.tellRuns();
    return c.json({});
  });
  app.post('/runs/delete', async (c) => {
    await runs.remove((await readJson(c, nameSchema)).name);
    workshop.tellRuns();
    workshop.tellProject();
    return c.json({});
  });
  return app;
}
