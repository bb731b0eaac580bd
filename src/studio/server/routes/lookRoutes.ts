import { Hono } from 'hono';
import type { Predictions, Tried } from '../../api.js';
import { readBytes } from '../requestBody.js';

/** A larger file is no frame of a camera, and no photo to try. */
const MOST_BYTES = 2 ** 26;

/** What a model, the live head or a run, has to say. */
export interface Looking {
  /** @throws UserError `no-such-run`, `no-live-head`, `no-predictions`. */
  predictions(of: string): Promise<Predictions>;
  /** @throws UserError `unreadable-photo` too. */
  tryPhoto(of: string, photo: Buffer, wantsHeat: boolean): Promise<Tried>;
  /** PNG of a photo of the project, by its path in there. */
  heatMap(of: string, path: string): Promise<Buffer>;
}

export function lookRoutes(looking: Looking): Hono {
  const app = new Hono();
  app.get('/predictions', async (c) => c.json(await looking.predictions(c.req.query('of') ?? '')));
  app.post('/try', async (c) => {
    const photo = await readBytes(c, MOST_BYTES);
    return c.json(await looking.tryPhoto(c.req.query('of') ?? '', photo, c.req.query('heat') === '1'));
  });
  app.get('/heatmap', async (c) => {
    const of = c.req.query('of') ?? '';
    const picture = await looking.heatMap(of, c.req.query('path') ?? '');
    return c.body(new Uint8Array(picture), 200, {
      'content-type': 'image/png',
      // The live head is another a moment later.
      'cache-control': of === 'live' ? 'no-store' : 'private, max-age=3600',
    });
  });
  return app;
}
