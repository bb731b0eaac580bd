import { create } from '@bufbuild/protobuf';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { encodeModel, metadataOf, readModel, setMetadata, writeModel } from '../../src/onnx/model.js';
import { ModelProtoSchema, TensorProtoSchema } from '../../src/onnx/onnx_pb.js';
import { tensorOfProto, toNumbers } from '../../src/onnx/tensor.js';

const folder = () => mkdtempSync(join(tmpdir(), 'ort-tl-'));

/** y = x + w, with w as the test wants it. */
function model(w: Parameters<typeof create<typeof TensorProtoSchema>>[1], opset = 13n) {
  return create(ModelProtoSchema, {
    irVersion: 8n,
    opsetImport: [{ domain: '', version: opset }],
    graph: {
      name: 'g',
      node: [{ opType: 'Add', input: ['x', 'w'], output: ['y'] }],
      initializer: [create(TensorProtoSchema, w)],
      input: [{ name: 'x' }],
      output: [{ name: 'y' }],
    },
  });
}

describe('readModel', () => {
  it('reads a model again that was let go of, and refuses another in its place', async () => {
    const path = join(folder(), 'm.onnx');
    await writeModel(model({ name: 'w', dims: [2n], dataType: 1, floatData: [1, 2] }), path);
    const read = readModel(path);
    const before = read.proto;
    read.forget?.();
    expect(read.proto).not.toBe(before);
    expect(read.proto).toEqual(before);
    read.forget?.();
    await writeModel(model({ name: 'w', dims: [2n], dataType: 1, floatData: [1, 3] }), path);
    expect(() => read.proto).toThrow(expect.objectContaining({ code: 'bad-arguments' }));
  });

  it('reads what was written, metadata included', async () => {
    const path = join(folder(), 'm.onnx');
    const proto = model({ name: 'w', dims: [2n], dataType: 1, floatData: [1, 2] });
    setMetadata(proto, new Map([['labels', '["a"]']]));
    setMetadata(proto, new Map([['labels', '["b"]']]));
    const hash = await writeModel(proto, path);
    const read = readModel(path);
    expect(read.sha256).toBe(hash);
    expect(metadataOf(read.proto)).toEqual(new Map([['labels', '["b"]']]));
  });

  it.each([
    ['raw', { dataType: 1, rawData: new Uint8Array(Float32Array.of(1, 2).buffer) }],
    ['typed', { dataType: 1, floatData: [1, 2] }],
    ['int64', { dataType: 7, int64Data: [1n, 2n] }],
    ['int8 in int32_data', { dataType: 3, int32Data: [1, 2] }],
    ['double', { dataType: 11, doubleData: [1, 2] }],
  ])('reads %s initializers', (_, w) => {
    const [initializer] = model({ name: 'w', dims: [2n], ...w }).graph?.initializer ?? [];
    if (!initializer) throw new Error('no initializer');
    expect(toNumbers(tensorOfProto(initializer))).toEqual([1, 2]);
  });

  it('reads tensors beside the model, and none outside its folder', () => {
    const outside = folder();
    const inside = join(outside, 'model');
    mkdirSync(inside);
    writeFileSync(join(inside, 'w.bin'), Buffer.from(Float32Array.of(9, 1, 2).buffer));
    writeFileSync(join(outside, 'w.bin'), Buffer.from(Float32Array.of(9, 1, 2).buffer));
    const external = (location: string) => ({
      name: 'w',
      dims: [2n],
      dataType: 1,
      dataLocation: 1,
      externalData: [
        { key: 'location', value: location },
        { key: 'offset', value: '4' },
        { key: 'length', value: '8' },
      ],
    });
    const path = join(inside, 'm.onnx');
    writeFileSync(path, encodeModel(model(external('w.bin'))));
    const [w] = readModel(path).proto.graph?.initializer ?? [];
    expect(w && toNumbers(tensorOfProto(w))).toEqual([1, 2]);
    writeFileSync(path, encodeModel(model(external('../w.bin'))));
    expect(() => readModel(path)).toThrow(/outside the model's folder/);
    writeFileSync(path, encodeModel(model(external('missing.bin'))));
    expect(() => readModel(path)).toThrow(/cannot be read/);
  });

  it('refuses what is no model, in one line', () => {
    const path = join(folder(), 'm.onnx');
    const whole = encodeModel(model({ name: 'w', dims: [2n], dataType: 1, floatData: [1, 2] }));
    for (const bytes of [
      Buffer.from('hello, this is a text'),
      Buffer.alloc(0),
      whole.subarray(0, whole.length - 5),
      Buffer.alloc(100, 0xff),
    ]) {
      writeFileSync(path, bytes);
      expect(() => readModel(path)).toThrow(/^[^\n]*not a whole ONNX model[^\n]*$/);
    }
    expect(() => readModel(join(path, 'no'))).toThrow(/cannot read|no model at/);
    writeFileSync(path, encodeModel(model({ name: 'w' }, 6n)));
    expect(() => readModel(path)).toThrow(/operator set 6/);
  });

  it('refuses an initializer whose length is not that of its shape', () => {
    const [w] = model({ name: 'w', dims: [3n], dataType: 1, floatData: [1, 2] }).graph?.initializer ?? [];
    if (!w) throw new Error('no initializer');
    expect(() => tensorOfProto(w)).toThrow(/should hold 3 elements/);
  });
});
