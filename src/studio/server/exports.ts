import { readdir, stat } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { Readable } from 'node:stream';
import { ZipFile } from 'yazl';
import { UserError } from '../../errors.js';
import type { ExportForm } from '../api.js';

const ENDINGS: Readonly<Record<ExportForm, string>> = {
  fp32: '-fp32.onnx',
  fp16: '-fp16.onnx',
  int8: '-int8.onnx',
  web: '-web',
  'transformers-js': '-transformers-js',
  delta: '.delta',
};

/** What exports have written, in a folder of its own among the runs. */
export class Exports {
  constructor(private readonly folder: string) {}

  /** Where the export of a run in some form goes. */
  pathOf(run: string, form: ExportForm): string {
    return join(this.folder, `${run}${ENDINGS[form]}`);
  }

  /** An export by its name, and how many bytes it has in all. @throws UserError `no-such-file`. */
  async describe(path: string): Promise<{ readonly name: string; readonly bytes: number }> {
    const files = await this.filesOf(basename(path));
    return { name: basename(path), bytes: files.reduce((sum, { bytes }) => sum + bytes, 0) };
  }

  /** An export as a zip file, made while it is read. @throws UserError `no-such-file`. */
  async zip(name: string): Promise<ReadableStream> {
    const zip = new ZipFile();
    for (const { path } of await this.filesOf(name))
      zip.addFile(path, relative(this.folder, path).split('\\').join('/'));
    zip.end();
    return Readable.toWeb(Readable.from(zip.outputStream)) as ReadableStream;
  }

  private async filesOf(name: string): Promise<{ path: string; bytes: number }[]> {
    const names: string[] = await readdir(this.folder).catch(() => []);
    // A name that is listed leads nowhere else.
    if (!names.includes(name) || name.startsWith('.'))
      throw new UserError('no-such-file', `there is no export \`${name}\` in ${this.folder}`);
    const root = join(this.folder, name);
    const below = (await stat(root)).isDirectory()
      ? (await readdir(root, { recursive: true, withFileTypes: true }))
          .filter((entry) => entry.isFile() && !entry.name.startsWith('.ort-tl'))
          .map((entry) => join(entry.parentPath, entry.name))
      : [root];
    return Promise.all(below.map(async (path) => ({ path, bytes: (await stat(path)).size })));
  }
}
