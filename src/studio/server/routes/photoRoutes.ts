import { Hono } from 'hono';
import { z } from 'zod';
import { AtMost } from '../atMost.js';
import { lineOf } from '../lineOf.js';
import type { Studio } from '../makeStudio.js';
import { readJson, readQuery, uploadOf } from '../requestBody.js';
import { surveyReport } from '../surveyReport.js';
import type { Thumbnail } from '../thumbnails.js';

const name = z.string().max(1000);
const path = z.string().max(5000);
const paths = z.array(path).min(1);
const shown = z.object({ path, stamp: z.string().optional() });

/** A picture whose address has the stamp of its file is another one's when the file changes. */
const FOREVER = 'private, max-age=31536000, immutable';

/** What concerns photos and their classes. */
export function photoRoutes({ photos, thumbnails, workshop }: Studio): Hono {
  const app = new Hono();

  app.get('/photos', (c) => c.json(photos.list(readQuery(c, z.object({ class: name })).class)));

  app.put('/photos', async (c) => {
    const query = readQuery(c, z.object({ class: name, name }));
    return c.json(await photos.add(query.class, uploadOf(c, query.name)));
  });

  app.post('/archive', async (c) => {
    const query = readQuery(c, z.object({ class: name.optional(), name: name.default('the zip file') }));
    return c.json(await photos.addArchive(query.class, uploadOf(c, query.name)));
  });

  app.post('/photos/move', async (c) => {
    const body = await readJson(c, z.strictObject({ paths, to: name }));
    return c.json(await photos.move(body.paths, body.to));
  });

  app.post('/photos/delete', async (c) => {
    const body = await readJson(c, z.strictObject({ paths }));
    return c.json(await photos.remove(body.paths));
  });

  app.post('/classes', async (c) => {
    const body = await readJson(c, z.strictObject({ name }));
    await photos.addClass(body.name);
    return c.json({});
  });

  app.post('/classes/rename', async (c) => {
    const body = await readJson(c, z.strictObject({ from: name, to: name, merge: z.boolean().default(false) }));
    return c.json(await photos.renameClass(body.from, body.to, body.merge));
  });

  app.post('/classes/delete', async (c) => {
    const body = await readJson(c, z.strictObject({ name }));
    return c.json(await photos.removeClass(body.name));
  });

  app.post('/bin/restore', async (c) => {
    const body = await readJson(c, z.strictObject({ bin: name }));
    return c.json(await photos.restore(body.bin));
  });

  app.post('/bin/empty', async (c) => {
    await readJson(c, z.strictObject({}));
    return c.json(await workshop.emptyBin());
  });

  for (const kind of ['thumbnail', 'photo'] as const)
    app.get(`/${kind}`, async (c) => {
      const query = readQuery(c, shown);
      const found = await thumbnails.get(kind, query.path, c.req.raw.signal);
      c.header('Content-Type', found.type);
      if (isOf(found, query.stamp)) c.header('Cache-Control', FOREVER);
      return c.body(new Uint8Array(found.bytes));
    });

  // All photos are read for it: two at once would take as long as one after another.
  const surveys = new AtMost(1);
  app.post('/survey', async (c) => {
    const { signal } = c.req.raw;
    const { surveyed } = photos;
    if (!surveyed)
      return c.json({ unreadable: [], duplicates: [], warnings: photos.problem ? [lineOf(photos.problem)] : [] });
    return c.json(await surveys.run(() => surveyReport(surveyed, (at) => photos.find(at)?.stamp, signal), signal));
  });

  return app;
}

/** Who asks for a file as it was once gets it as it is now, but must not keep it as that. */
const isOf = (found: Thumbnail, stamp: string | undefined) => found.stamp === stamp;
