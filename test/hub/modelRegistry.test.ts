import { existsSync, readFileSync, statSync } from 'node:fs';
import { expect, it } from 'vitest';
import { DEFAULT_MODEL, embeddedPath, readRegistry, registry } from '../../src/hub/modelRegistry.js';
import { sha256 } from './hubServer.js';

const embedded = registry().flatMap((entry) => {
  const path = embeddedPath(entry);
  return path === undefined ? [] : [{ ...entry, path }];
});

it('names the default, and each network once', () => {
  const names = registry().map(({ name }) => name);
  expect(names).toContain(DEFAULT_MODEL);
  expect(new Set(names).size).toBe(names.length);
});

it.each(embedded)('states size and hash of $name as they are', ({ path, bytes, sha256: stated }) => {
  if (!existsSync(path)) return;
  expect(bytes).toBe(statSync(path).size);
  expect(stated).toBe(sha256(readFileSync(path)));
});

it.each([
  ['a source that is none', 'ftp://example.org/x.onnx'],
  ['a file elsewhere', 'file:../x.onnx'],
])('is refused with %s', (_, source) => {
  const entry = { name: 'x', source, licence: 'MIT', preprocessing: 'in its metadata', about: 'nothing' };
  expect(() => readRegistry(JSON.stringify([entry]))).toThrow();
});

it('is refused with a name twice, or with a key that means nothing', () => {
  const entry = { name: 'x', source: 'hf:o/x', licence: 'MIT', preprocessing: 'in its metadata', about: 'nothing' };
  expect(readRegistry(JSON.stringify([entry]))).toHaveLength(1);
  expect(() => readRegistry(JSON.stringify([entry, entry]))).toThrow(/two networks by the name x/);
  expect(() => readRegistry(JSON.stringify([{ ...entry, license: 'MIT' }]))).toThrow();
});
