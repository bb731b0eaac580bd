import { readdir, readFile } from 'node:fs/promises';
import { extname, join, relative, sep } from 'node:path';
import type { Context } from 'hono';
import { UserError } from '../../errors.js';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.json': 'application/json',
  '.webmanifest': 'application/manifest+json',
  '.txt': 'text/plain; charset=utf-8',
};
/** vite puts a hash of their content into the names of these. */
const HASHED = /^\/assets\//;
const FOREVER = 'private, max-age=31536000, immutable';

/** The files of the built page. */
export class PageFiles {
  private paths: ReadonlyMap<string, string> = new Map();

  /** @param folder where vite has put them. */
  constructor(private readonly folder: string) {}

  /** Sends a file. Only what was listed in the folder is opened, whatever is asked for. @throws UserError `no-such-page`. */
  async reply(c: Context): Promise<Response> {
    const path = c.req.path === '/' ? '/index.html' : c.req.path;
    if (!this.paths.has(path)) this.paths = await this.list();
    const file = this.paths.get(path);
    if (file === undefined)
      throw new UserError(
        'no-such-page',
        this.paths.size === 0 ? 'the page of the studio is not built; run npm run build' : 'there is no such page here',
      );
    c.header('Content-Type', TYPES[extname(file)] ?? 'application/octet-stream');
    c.header('Cache-Control', HASHED.test(path) ? FOREVER : 'no-cache');
    return c.body(new Uint8Array(await readFile(file)));
  }

  private async list(): Promise<Map<string, string>> {
    const entries = await readdir(this.folder, { withFileTypes: true, recursive: true }).catch(() => []);
    const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    return new Map(files.map((file) => [`/${relative(this.folder, file).split(sep).join('/')}`, file]));
  }
}
