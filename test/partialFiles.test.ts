import { mkdtempSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { writeFileAtomically } from '../src/files.js';

it('clears away what a killed process has left of the same file, and nothing else', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'ort-tl-partial-'));
  const write = (name: string, hours: number) => {
    writeFileSync(join(folder, name), 'part');
    const then = new Date(Date.now() - hours * 3_600_000);
    utimesSync(join(folder, name), then, then);
  };
  const kept = [
    'model.onnx.89abcdef.partial',
    'other.onnx.01234567.partial',
    'model.onnx.notes.partial',
    'model.onnx.old',
  ];
  const [beingWritten = '', ...others] = kept;
  write(beingWritten, 0.5);
  for (const name of others) write(name, 48);
  for (const name of ['model.onnx.01234567.partial', 'model.onnx.76543210.partial']) write(name, 2);

  await writeFileAtomically(join(folder, 'model.onnx'), 'whole');
  expect(readdirSync(folder).sort()).toEqual([...kept, 'model.onnx'].sort());
});
