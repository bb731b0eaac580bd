import { Hono } from 'hono';
import { z } from 'zod';
import { UserError } from '../../../errors.js';
import type { JobRequest } from '../../api.js';
import { readJson, readQuery } from '../requestBody.js';
import type { Workshop } from '../workshop.js';

/** A training has fewer. */
const MOST_FLAGS = 100;

const flagValue = z.union([z.string().max(1000), z.number(), z.boolean()]);
/** A flag that a training takes, without its dashes; what it says is checked by the command. */
const flags = z
  .record(z.string().regex(/^[a-z][a-z0-9-]{0,39}$/), flagValue)
  .refine((given) => Object.keys(given).length <= MOST_FLAGS, `expected ${MOST_FLAGS} flags at most`);
const name = z.string().min(1).max(255);
const requestSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('train'),
    policy: z.string().min(1).max(200),
    epochs: z.number().int().min(1).max(10_000).optional(),
    flags: flags.optional(),
  }),
  z.strictObject({ kind: z.literal('resume'), run: name }),
  z.strictObject({ kind: z.literal('recommend') }),
  z.strictObject({
    kind: z.literal('export'),
    run: name,
    form: z.enum(['fp32', 'fp16', 'int8', 'web', 'transformers-js', 'delta']),
  }),
]);
type Request = z.infer<typeof requestSchema>;
const stopSchema = z.strictObject({ id: z.string() });
const costQuery = z.object({ policy: z.string().min(1).max(200) });
const exportQuery = z.object({ name });

/** Flags that would lead a command to other files, or change what it prints. */
const NOT_FROM_THE_PAGE = new Set([
  ...['model', 'data', 'out', 'resume', 'overwrite', 'config', 'cache', 'init', 'json', 'events', 'quiet', 'debug'],
  ...['help', 'version', 'policy', 'epochs', 'tensorboard'],
  // What the command takes for one of those, since other programs call it so.
  ...['weights', 'checkpoint', 'dataset', 'data-dir', 'source', 'output-dir', 'save-dir', 'exist-ok'],
]);

/** What concerns long work: what it would cost, doing it, what came of it. */
export function jobRoutes(workshop: Workshop): Hono {
  const { jobs, exports } = workshop;
  const app = new Hono();
  app.get('/cost', async (c) => c.json(await workshop.cost(readQuery(c, costQuery).policy)));
  app.post('/jobs', async (c) => c.json(jobs.add(requestOf(await readJson(c, requestSchema)))));
  app.post('/jobs/stop', async (c) => c.json(jobs.stop((await readJson(c, stopSchema)).id)));
  app.get('/export', async (c) => {
    const { name: asked } = readQuery(c, exportQuery);
    const zip = await exports.zip(asked);
    c.header('Content-Type', 'application/zip');
    c.header('Content-Disposition', `attachment; filename*=UTF-8''${encodeURIComponent(asked)}.zip`);
    return c.body(zip);
  });
  return app;
}

/** @throws UserError `bad-arguments` for a flag that is not the page's to set. */
function requestOf(request: Request): JobRequest {
  if (request.kind !== 'train') return request;
  const { policy, epochs, flags: given = {} } = request;
  const alien = Object.keys(given).find((flag) => NOT_FROM_THE_PAGE.has(flag.replace(/^(no-)+/, '')));
  if (alien !== undefined) throw new UserError('bad-arguments', `the page may not set --${alien}`);
  return { kind: 'train', policy, flags: given, ...(epochs === undefined ? {} : { epochs }) };
}
