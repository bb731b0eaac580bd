import { existsSync, mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { compile } from '../../src/artifacts/compile.js';
import type { CompileOptions } from '../../src/artifacts/compileOptions.js';
import { UserError } from '../../src/errors.js';
import { applyDelta, encodeDelta, readDelta } from '../../src/export/delta.js';
import { encodeTuned, type Learned } from '../../src/export/run.js';
import { type ModelFile, readModel } from '../../src/onnx/model.js';
import { readSafetensors } from '../../src/onnx/safetensors.js';
import { floatTensor } from '../../src/onnx/tensor.js';
import { Random } from '../../src/random.js';
import { EFFICIENTNET_B0, SMALL_CNN, TINY_MBCONV, TINY_RESNET } from '../models.js';

const zoo = (name: string) => fileURLToPath(new URL(`../fixtures/zoo/${name}`, import.meta.url));
const path = (name: string) => join(mkdtempSync(join(tmpdir(), 'ort-tl-')), name);

/** What a training of `source` might have learned: every trained number is another. */
function learn(source: ModelFile, options: Partial<CompileOptions>): Learned {
  const { manifest } = compile(source, { policy: 'F1C1', classes: ['a', 'b', 'c'], batch: 2, ...options });
  const random = new Random(3);
  const parameters = new Map(
    [...manifest.parameters, ...manifest.statistics].map(({ name, shape }) => [
      name,
      floatTensor(
        shape,
        Array.from({ length: shape.reduce((product, dim) => product * dim, 1) }, () => random.next()),
      ),
    ]),
  );
  return { manifest, parameters };
}

function write(source: ModelFile, learned: Learned): string {
  const file = path('tuned.delta');
  writeFileSync(file, Buffer.concat(encodeDelta(source, learned)));
  return file;
}

describe('a delta', () => {
  it.each<[string, string, Partial<CompileOptions>]>([
    ['the small CNN', SMALL_CNN, {}],
    ['hidden layers', TINY_RESNET, { hidden: [8, 6], policy: 'full' }],
    ['running averages', TINY_MBCONV, { batchNorm: 'batch', policy: 'blocks:1' }],
    ['a head behind a Reshape', zoo('keras-conv-head-opset13.onnx'), {}],
    ['parameters that the source shares', zoo('dense-new-opset25.onnx'), { policy: 'full' }],
    ['constants in nodes', zoo('constants.onnx'), { policy: 'full' }],
    ['adapters', zoo('../transformers/vit-dy18-dynamic.onnx'), { policy: 'lora:2' }],
  ])('makes the exported file of the base, byte by byte: %s', (_, base, options) => {
    const source = readModel(base);
    const learned = learn(source, options);
    const file = write(source, learned);
    const tuned = applyDelta(readModel(base), readDelta(file));
    expect(Buffer.compare(tuned, encodeTuned(source, learned))).toBe(0);
  });

  it('holds nothing but what trains, under the names of the source, and what other readers need', () => {
    const source = readModel(SMALL_CNN);
    const { tensors, metadata } = readSafetensors(write(source, learn(source, {})));
    const names = source.proto.graph?.initializer.map(({ name }) => name);
    expect([...tensors.keys()]).toEqual(['conv4.weight', 'conv4.bias', 'fc2.weight', 'fc2.bias']);
    expect(names).toEqual(expect.arrayContaining([...tensors.keys()]));
    expect(JSON.parse(metadata['labels'] ?? '')).toEqual(['a', 'b', 'c']);
    expect(JSON.parse(metadata['preprocessing'] ?? '')).toMatchObject({ width: 32, height: 32 });
    expect(metadata['base_sha256']).toBe(source.sha256);
  });

  it('is refused for another base, and for a base whose external data is another', () => {
    const source = readModel(SMALL_CNN);
    const delta = readDelta(write(source, learn(source, {})));
    const other = path('other.onnx');
    writeFileSync(other, encodeTuned(source, learn(source, {})));
    const refused = (base: ModelFile) => {
      try {
        applyDelta(base, delta);
      } catch (thrown) {
        return thrown instanceof UserError ? `${thrown.code}: ${thrown.message}` : thrown;
      }
      return undefined;
    };
    expect(refused(readModel(other))).toMatch(
      /^wrong-base: .*other\.onnx is not the model that was trained: that is small_cnn\.onnx/,
    );
    const base = readModel(SMALL_CNN);
    const bias = base.proto.graph?.initializer.find(({ name }) => name === 'conv1.bias');
    if (!bias) throw new Error('no conv1.bias');
    bias.rawData = new Uint8Array(bias.rawData.byteLength);
    expect(refused(base)).toMatch(/^bad-delta: .*external data/);
  });

  it('is refused when it is cut off anywhere, changed anywhere, or another file', () => {
    const source = readModel(TINY_RESNET);
    const file = write(source, learn(source, { policy: 'F1C0' }));
    const whole = readFileSync(file);
    const codes = new Set<string>();
    const apply = (bytes: Uint8Array) => {
      writeFileSync(file, bytes);
      try {
        applyDelta(source, readDelta(file));
      } catch (thrown) {
        if (!(thrown instanceof UserError)) throw thrown;
        codes.add(thrown.code);
        return;
      }
      throw new Error('a damaged delta was applied');
    };
    for (let length = 0; length < whole.byteLength; length += 13) apply(whole.subarray(0, length));
    // The last byte of a number, and of the hash.
    for (const place of [whole.byteLength - 1, whole.indexOf('tuned_sha256') + 20]) {
      const changed = Uint8Array.from(whole);
      changed[place] = changed[place] === 0x31 ? 0x32 : 0x31;
      apply(changed);
    }
    expect([...codes]).toEqual(['bad-delta']);

    expect(() => readDelta(path('nowhere'))).toThrow(/no delta at .*nowhere; name what/);
    const later = Buffer.from(whole.toString('latin1').replace('ort-tl delta 1', 'ort-tl delta 2'), 'latin1');
    writeFileSync(file, later);
    expect(() => readDelta(file)).toThrow(/it is a "ort-tl delta 2", and this version knows "ort-tl delta 1"/);
  });

  it.skipIf(!existsSync(EFFICIENTNET_B0))('of EfficientNet-B0 with F1C1 is less than a third of the model', () => {
    const source = readModel(EFFICIENTNET_B0);
    const learned = learn(source, {});
    const file = write(source, learned);
    const tuned = applyDelta(source, readDelta(file));
    expect(statSync(file).size).toBeLessThan(tuned.byteLength / 3);
  });
});
