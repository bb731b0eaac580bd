import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { temporaryFolder } from '../internal.js';

/**
 * Opens an address in the user's browser. It has a token, and other users of the machine see what a process is called with: so the browser is
 * given a file that this user alone can read, which leads there. Gives whether there is something to open it with.
 */
export async function openInBrowser(url: string): Promise<boolean> {
  const hasScreen = process.env['DISPLAY'] !== undefined || process.env['WAYLAND_DISPLAY'] !== undefined;
  const program =
    process.platform === 'darwin'
      ? 'open'
      : process.platform === 'win32'
        ? 'explorer.exe'
        : hasScreen
          ? 'xdg-open'
          : undefined;
  if (program === undefined) return false;
  // Nobody else may look into it; it is removed when the process ends.
  const file = join(temporaryFolder().path, 'studio.html');
  await writeFile(file, `<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=${url}">`);
  const child = spawn(program, [pathToFileURL(file).href], { stdio: 'ignore', detached: true });
  // Where there is no such program, the address is on the screen.
  child.on('error', () => undefined);
  child.unref();
  return true;
}
