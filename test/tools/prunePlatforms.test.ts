import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const script = fileURLToPath(new URL('../../tools/prune-platforms.js', import.meta.url));
const prune = (place: string) => spawnSync(process.execPath, [script, place], { encoding: 'utf8' });

function packageFor(...platforms: string[]): string {
  const place = mkdtempSync(join(tmpdir(), 'ort-tl-'));
  for (const platform of platforms) {
    const folder = join(place, 'bin', 'napi-v6', ...platform.split('-'));
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'library'), new Uint8Array(2e6));
  }
  return place;
}

const here = `${process.platform}-${process.arch}`;

it("removes the builds of other platforms, and keeps this machine's", () => {
  const place = packageFor(here, 'plan9-mips', 'plan9-vax');
  const { status, stdout } = prune(place);
  expect(status).toBe(0);
  expect(stdout).toContain('removed 4 MB for 2 other platforms');
  const has = (platform: string) => existsSync(join(place, 'bin', 'napi-v6', ...platform.split('-'), 'library'));
  expect([has(here), has('plan9-mips'), has('plan9-vax')]).toEqual([true, false, false]);
  expect(prune(place).stdout).toContain('removed 0 MB for 0 other platforms');
});

it('removes nothing where there is no build for this machine', () => {
  const place = packageFor('plan9-mips');
  const { status, stderr } = prune(place);
  expect(status).toBe(2);
  expect(stderr).toContain(`nothing for ${here}, so nothing was removed`);
  expect(existsSync(join(place, 'bin', 'napi-v6', 'plan9', 'mips', 'library'))).toBe(true);
});
