import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readConfig } from '../../src/cli/config.js';

const flags = { known: ['epochs', 'policy', 'label-smoothing'], switches: [], optional: [] };
const read = (text: string) => {
  const path = join(mkdtempSync(join(tmpdir(), 'ort-tl-')), 'train.yaml');
  writeFileSync(path, text);
  return readConfig(path, flags);
};

describe('readConfig', () => {
  it('reads settings by the names of the flags', () => {
    expect(read('# ours\nepochs: 20\npolicy: F1C2\nlabel-smoothing: 0.1\n')).toEqual({
      epochs: 20,
      policy: 'F1C2',
      'label-smoothing': 0.1,
    });
    expect(read('')).toEqual({});
  });

  it('names a typo, its line and the nearest right word', () => {
    expect(() => read('epochs: 20\n\npolicey: F1C2\n')).toThrow(
      /train\.yaml, line 3: there is no setting `policey`; did you mean `policy`\?/,
    );
  });

  it('names the line of what is no YAML, and of what is no setting', () => {
    expect(() => read('epochs: 20\npolicy: "F1C2\n')).toThrow(/train\.yaml, line \d: not YAML/);
    expect(() => read('- epochs\n')).toThrow(/line 1: expected settings such as `epochs: 20`/);
    expect(() => read('epochs: [1, 2]\n')).toThrow(/line 1: expected one value for `epochs`/);
    expect(() => readConfig('/no/such/file.yaml', flags)).toThrow(/cannot read \/no\/such\/file\.yaml/);
  });
});
