import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { RunFolder } from '../../src/train/runFolder.js';
import { NO_MOUNT, smallDisk } from '../mounts.js';

it('logs whole events only, on a disk that fills up too', (context) => {
  const disk = smallDisk(4 * 4096);
  if (!disk) return context.skip(NO_MOUNT);
  try {
    writeFileSync(join(disk.folder, 'other'), Buffer.alloc(2 * 4096));
    const folder = RunFolder.open(disk.folder);
    let logged = 0;
    const fill = () => {
      for (; logged < 10_000; logged++) folder.log({ type: 'skipped', path: 'some.jpg', reason: `number ${logged}` });
    };
    expect(fill).toThrow(/cannot write .*events\.jsonl: ENOSPC: no space left on device; free some space/);
    const lines = readFileSync(join(disk.folder, 'events.jsonl'), 'utf8').split('\n');
    expect(lines.pop()).toBe('');
    expect(lines.map((line) => (JSON.parse(line) as { reason: string }).reason)).toEqual(
      lines.map((_, index) => `number ${index}`),
    );
    expect(lines).toHaveLength(logged);
    expect(logged).toBeGreaterThan(0);
  } finally {
    disk.unmount();
  }
});
