import { expect, it } from 'vitest';
import { readTorchFile } from '../../models/torchFile.js';

const text = (value: string) => {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(value.length);
  return Buffer.concat([Buffer.from('X'), length, Buffer.from(value)]);
};
const small = (value: number) => Buffer.from(['K'.charCodeAt(0), value]);
const op = (code: string) => Buffer.from(code, 'latin1');
const pickle = (...parts: Buffer[]) => Buffer.concat([op('\x80\x02'), ...parts, op('.')]);
const long = (value: number) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(BigInt(value));
  return bytes;
};

const MAGIC = pickle(op('\x8a\x0a'), Buffer.from('6cfc9c46f9206aa85019', 'hex'));
const PROTOCOL = pickle(op('M\xe9\x03'));
const SYSTEM = pickle(op('}('), text('little_endian'), op('\x88'), op('u'));

/** A dictionary of one tensor [2, 3] of storage "7", whose strides are given; its pickle's first instructions may be others. */
const tensors = (strides: readonly [number, number], begin = op('ccollections\nOrderedDict\n)R')) =>
  pickle(
    begin,
    text('fc.weight'),
    op('ctorch._utils\n_rebuild_tensor_v2\n(('),
    ...[text('storage'), op('ctorch\nFloatStorage\n'), text('7'), text('cpu'), small(6), op('NtQ')],
    ...[small(0), small(2), small(3), op('\x86'), small(strides[0]), small(strides[1]), op('\x86')],
    op('\x89ccollections\nOrderedDict\n)RtR'),
    op('s'),
  );
const KEYS = pickle(op(']('), text('7'), op('e'));
const STORAGE = Buffer.concat([long(6), Buffer.from(Float32Array.from([1, 2, 3, 4, 5, 6]).buffer)]);
const file = (dictionary: Buffer) => Buffer.concat([MAGIC, PROTOCOL, SYSTEM, dictionary, KEYS, STORAGE]);

it.each([
  ['row by row', [3, 1], [1, 2, 3, 4, 5, 6]],
  ['column by column', [1, 2], [1, 3, 5, 2, 4, 6]],
] as const)('reads a tensor whose elements lie %s', (_, strides, expected) => {
  const weight = readTorchFile(file(tensors(strides))).get('fc.weight');
  expect(weight?.dims).toEqual([2, 3]);
  expect([...(weight?.data ?? [])]).toEqual(expected);
});

it.each<[string, Buffer, RegExp]>([
  ['names another function', file(tensors([3, 1], op('cos\nsystem\n)R'))), /its pickle names "os system"/],
  ['has another instruction', file(tensors([3, 1], op('\x81'))), /its pickle has the instruction 0x81/],
  ['reaches behind its storage', file(tensors([4, 1])), /storage 7 is not whole/],
  ['is cut off', file(tensors([3, 1])).subarray(0, -1), /it is cut off/],
  ['has more behind its end', Buffer.concat([file(tensors([3, 1])), op('x')]), /something follows its last storage/],
  ['is a zip file', Buffer.from('PK\x03\x04'), /its pickle has the instruction 0x50/],
])('refuses a file that %s', (_, bytes, message) => {
  expect(() => readTorchFile(bytes)).toThrow(message);
});
