import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** The root of a file system with these files, as Linux has them in /proc and /sys. */
export function fakeLinux(files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), 'ort-tl-'));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  return root;
}
