import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { UserError } from '../../src/errors.js';
import { floats, floatTensor } from '../../src/onnx/tensor.js';
import { decodeTrainingCheckpoint, encodeTrainingCheckpoint } from '../../src/onnx/trainingCheckpoint.js';

/** Saved by the vendor's runtime with its optimizer's state; made by test/fixtures/vendor/make_trained.py. */
const trained = readFileSync(fileURLToPath(new URL('../fixtures/vendor/tiny_resnet.checkpoint', import.meta.url)));

describe('a checkpoint of on-device training', () => {
  it('is read as the vendor wrote it', () => {
    const { trainable, frozen } = decodeTrainingCheckpoint(trained, 'trained');
    expect([...trainable].map(([name, { dims }]) => [name, dims])).toEqual([
      ['blocks.1.downsample.0.weight', [16, 8, 1, 1]],
      ['blocks.1.downsample.1.bias', [16]],
      ['blocks.1.downsample.1.weight', [16]],
      ['fc.bias', [3]],
      ['fc.weight', [3, 16]],
    ]);
    expect(frozen.size).toBeGreaterThan(5);
    for (const t of [...trainable.values(), ...frozen.values()])
      expect(floats(t).every((value) => Number.isFinite(value) && Math.abs(value) < 100)).toBe(true);
  });

  it('holds what was written, names of any letters and shapes of any rank among it', () => {
    const trainable = new Map([
      ['weight', floatTensor([2, 1, 3], [1, 2, 3, 4, 5, 6])],
      ['größe', floatTensor([], [7])],
    ]);
    const frozen = new Map([['none', floatTensor([0, 4], [])]]);
    const bytes = encodeTrainingCheckpoint({ trainable, frozen });
    expect(decodeTrainingCheckpoint(bytes, 'own')).toEqual({ trainable, frozen });
    // The same bytes elsewhere in memory, unaligned.
    const moved = new Uint8Array(bytes.byteLength + 1);
    moved.set(bytes, 1);
    expect(decodeTrainingCheckpoint(moved.subarray(1), 'own')).toEqual({ trainable, frozen });
  });

  it('is refused wherever it is cut off', () => {
    for (let length = 0; length < trained.byteLength; length += length < 4000 ? 7 : 301) {
      const whole = decodeTrainingCheckpoint(trained, 'trained');
      let got;
      try {
        got = decodeTrainingCheckpoint(trained.subarray(0, length), 'cut');
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(UserError);
        expect(thrown).toMatchObject({ code: 'bad-checkpoint', message: /^cut is not a whole checkpoint/ });
        continue;
      }
      // The parameters were all before the cut.
      expect(got).toEqual(whole);
    }
  });

  it('is refused when it is damaged, of another version, or another file', () => {
    const { trainable, frozen } = decodeTrainingCheckpoint(trained, 'trained');
    const bytes = encodeTrainingCheckpoint({ trainable, frozen });
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const root = view.getUint32(0, true);
    const version = root + view.getUint16(root - view.getInt32(root, true) + 4, true);
    expect(view.getInt32(version, true)).toBe(2);
    view.setInt32(version, 3, true);
    expect(() => decodeTrainingCheckpoint(bytes, 'new')).toThrow(/new is not .* version 3, and ort-tl reads version 2/);
    expect(() => decodeTrainingCheckpoint(new Uint8Array(0), 'none')).toThrow(/it is empty/);
    expect(() => decodeTrainingCheckpoint(Buffer.from('{"some": "json"}'), 'json')).toThrow(/does not say ODTC/);
    // Any byte of the tables may be another: nothing but a refusal, or other numbers.
    for (let place = 8; place < 3000; place++) {
      const damaged = Uint8Array.from(trained);
      damaged[place] = 0xff ^ (damaged[place] ?? 0);
      try {
        decodeTrainingCheckpoint(damaged, 'damaged');
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(UserError);
      }
    }
  });
});
