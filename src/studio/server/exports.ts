import { createReadStream, type ReadStream } from 'node:fs';
import { lstat, readdir, stat } from 'node:fs/promises';
import { basename, join, relative, sep } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
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
    const files = await this.filesOf(name);
    return Readable.toWeb(Readable.from(zipped(files, this.folder))) as ReadableStream;
  }

  private async filesOf(name: string): Promise<ExportedFile[]> {
    const names: string[] = await readdir(this.folder).catch(() => []);
    // A name that is listed leads nowhere else, unless it is that of a link.
    const root = join(this.folder, name);
    const found = names.includes(name) && !name.startsWith('.') ? await lstat(root).catch(() => undefined) : undefined;
    if (!found?.isFile() && !found?.isDirectory())
      throw new UserError('no-such-file', `there is no export \`${name}\` in ${this.folder}`);
    const below = found.isDirectory()
      ? (await readdir(root, { recursive: true, withFileTypes: true }))
          .filter((entry) => entry.isFile() && !entry.name.startsWith('.ort-tl'))
          .map((entry) => join(entry.parentPath, entry.name))
      : [root];
    return Promise.all(
      below.map(async (path) => {
        const { size: bytes, mtime } = await stat(path);
        return { path, bytes, mtime };
      }),
    );
  }
}

interface ExportedFile {
  readonly path: string;
  readonly bytes: number;
  readonly mtime: Date;
}

/** The bytes of a zip file. It fails where a file cannot be read any more; whoever leaves early leaves no file open. */
async function* zipped(files: readonly ExportedFile[], folder: string): AsyncGenerator<Buffer> {
  const zip = new ZipFile();
  const out = new PassThrough();
  const fail = (thrown: Error) => out.destroy(thrown);
  let reading: ReadStream | undefined;
  zip.on('error', fail);
  zip.outputStream.pipe(out);
  for (const { path, mtime } of files)
    zip.addReadStreamLazy(relative(folder, path).split(sep).join('/'), { mtime }, (give) => {
      reading = createReadStream(path).on('error', fail);
      give(null, reading);
    });
  zip.end();
  try {
    yield* out;
  } finally {
    reading?.destroy();
  }
}
