import type { Context } from 'hono';
import { MachineError, messageOf, UserError } from '../../errors.js';
import { markup } from '../../markup.js';
import { visible } from '../../text.js';
import type { ApiError } from '../api.js';
import { lineOf } from './lineOf.js';

type ErrorStatus = 400 | 401 | 403 | 404 | 408 | 409 | 413 | 422 | 429 | 500 | 503 | 507;

/** What HTTP calls an error; any other that a user can mend is a 400. */
const STATUS: Readonly<Record<string, ErrorStatus>> = {
  'no-token': 401,
  'bad-host': 403,
  'bad-origin': 403,
  'no-such-page': 404,
  'no-such-photo': 404,
  'no-such-class': 404,
  'no-such-bin': 404,
  'no-such-run': 404,
  'cut-off': 408,
  'class-exists': 409,
  'folder-in-use': 409,
  'too-large': 413,
  'unreadable-photo': 422,
  'too-many-jobs': 429,
  'write-failed': 507,
};

/** Answers with what went wrong: as JSON, or, to who looks at the page itself, as a page. `report` is told of what no user can mend. */
export function errorReply(c: Context, thrown: unknown, report: (thrown: unknown) => void): Response {
  const isUsers = thrown instanceof UserError;
  const isMachines = thrown instanceof MachineError;
  const hasLeft = c.req.raw.signal.aborted;
  if (!isUsers && !isMachines && !hasLeft) report(thrown);
  const status = isUsers ? (STATUS[thrown.code] ?? 400) : isMachines ? 503 : 500;
  const code = isUsers || isMachines ? thrown.code : 'failed';
  const message = isUsers || isMachines ? lineOf(thrown) : `the studio failed: ${messageOf(thrown)}`;
  // What a client still sends is not read.
  if (c.req.raw.body !== null) c.header('Connection', 'close');
  if (c.req.path.startsWith('/api/')) {
    const error: ApiError = { code, message: visible(message) };
    return c.json({ error }, status);
  }
  if (!(c.req.header('accept') ?? '').includes('text/html')) return c.text(`${visible(message)}\n`, status);
  const page = markup`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>ort-tl studio</title>
<h1>ort-tl studio</h1>
<p>${message}</p>
</html>
`;
  return c.html(page.toString(), status);
}
