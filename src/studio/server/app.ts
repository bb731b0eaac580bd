import { Hono } from 'hono';
import { packagePath } from '../../entryPoint.js';
import { UserError } from '../../errors.js';
import { checkAccess } from './access.js';
import { errorReply } from './errorReply.js';
import type { Studio } from './makeStudio.js';
import { PageFiles } from './pageFiles.js';
import { jobRoutes } from './routes/jobRoutes.js';
import { lookRoutes } from './routes/lookRoutes.js';
import { photoRoutes } from './routes/photoRoutes.js';
import { projectRoutes } from './routes/projectRoutes.js';
import { runRoutes } from './routes/runRoutes.js';
import { safeHeaders } from './safeHeaders.js';

/** All that the studio answers: the page's files, and what the page asks for. `page` is the folder of the built page. */
export function createApp(studio: Studio, page = packagePath('dist', 'studio', 'page')): Hono {
  const { workshop } = studio;
  const app = new Hono();
  app.onError((thrown, c) => errorReply(c, thrown, studio.report));
  app.use(safeHeaders());
  app.use(async (c, next) => {
    await next();
    // Nobody would ever read it, or end it.
    if (c.req.raw.method === 'HEAD') await c.res.body?.cancel();
  });
  app.use(checkAccess(studio.access));
  app.route('/api', projectRoutes(studio));
  app.route('/api', photoRoutes(studio));
  app.route('/api', jobRoutes(workshop));
  app.route('/api', runRoutes(workshop));
  app.route('/api', lookRoutes(workshop));
  app.all('/api/*', (c) => {
    throw new UserError('no-such-page', `there is no ${c.req.method} ${c.req.path}`);
  });
  const files = new PageFiles(page);
  app.get('*', (c) => files.reply(c));
  app.notFound((c) => errorReply(c, new UserError('no-such-page', 'there is no such page here'), studio.report));
  return app;
}
