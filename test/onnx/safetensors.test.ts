import { mkdtempSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readSafetensors, writeSafetensors } from '../../src/onnx/safetensors.js';
import { floatTensor, intTensor } from '../../src/onnx/tensor.js';

const folder = () => mkdtempSync(join(tmpdir(), 'ort-tl-'));

describe('safetensors files', () => {
  it('hold tensors and metadata', async () => {
    const path = join(folder(), 'a.safetensors');
    const tensors = new Map([
      ['weight', floatTensor([2, 3], [1, 2, 3, 4, 5, 6])],
      ['steps', intTensor([1], [7])],
    ]);
    await writeSafetensors(path, tensors, { epoch: '3' });
    const read = readSafetensors(path);
    expect(read.metadata).toEqual({ epoch: '3' });
    expect([...read.tensors]).toEqual([...tensors]);
  });

  it('are laid out as the format says: length, JSON padded to eight bytes, data', async () => {
    const path = join(folder(), 'a.safetensors');
    await writeSafetensors(path, new Map([['x', floatTensor([1], [1])]]));
    const bytes = readFileSync(path);
    const length = Number(bytes.readBigUInt64LE(0));
    expect(length % 8).toBe(0);
    expect(JSON.parse(bytes.subarray(8, 8 + length).toString())).toEqual({
      __metadata__: {},
      x: { dtype: 'F32', shape: [1], data_offsets: [0, 4] },
    });
    expect(bytes.readFloatLE(8 + length)).toBe(1);
  });

  it('are refused when cut off or of another format', async () => {
    const path = join(folder(), 'a.safetensors');
    await writeSafetensors(path, new Map([['x', floatTensor([4], [1, 2, 3, 4])]]));
    truncateSync(path, readFileSync(path).length - 4);
    expect(() => readSafetensors(path)).toThrow(/tensor "x" does not fit/);
    writeFileSync(path, 'a text that is no checkpoint');
    expect(() => readSafetensors(path)).toThrow(/not a whole safetensors checkpoint/);
    expect(() => readSafetensors(join(path, 'missing'))).toThrow(/not a whole safetensors checkpoint/);
  });
});
