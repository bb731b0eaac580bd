import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { readSuite } from '../../../src/bench/suiteFile/readSuite.js';
import type { OtherPlaces } from '../../../src/bench/suiteFile/suiteRows.js';
import { chosenRuns, runsOf } from '../../../src/bench/suiteRuns.js';
import { UserError } from '../../../src/errors.js';
import { SMALL_CNN } from '../../models.js';

function read(text: string, places: OtherPlaces = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'ort-tl-'));
  mkdirSync(join(folder, 'photos'));
  writeFileSync(join(folder, 'suite.yaml'), text);
  return readSuite(join(folder, 'suite.yaml'), places);
}

function refusal(text: string): string {
  try {
    read(text);
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(UserError);
    if (thrown instanceof UserError && thrown.code === 'bad-suite')
      return thrown.message.replace(/^.*suite\.yaml, /, '');
  }
  throw new Error('was not refused');
}

const SMALL = `models: { cnn: small_cnn }
data: { pets: photos }
`;

describe('a suite', () => {
  it('makes every run of models × data × policies × seeds × caches, once a round', () => {
    const suite = read(`models: { cnn: small_cnn, other: { path: small_cnn } }
data: { pets: photos, drawn: { drawn: { train: 2, val: 1 } } }
policies: [F1C0, F1C1, full]
seeds: [3, 4]
repeat: 2
cache: both
`);
    const runs = runsOf(suite);
    expect(runs).toHaveLength(2 * 2 * 3 * 2 * 2 * 2);
    expect(new Set(runs.map(({ id, round }) => `${id} ${round}`)).size).toBe(runs.length);
    expect(runs.map(({ id }) => id)).toContain('other-drawn/full/warm/seed-4');
  });

  it('orders runs by a seed, and finishes one seed of everything before the next', () => {
    const text = `${SMALL}policies: [F1C0, F1C1, F1C2, full]\nseeds: [0, 1]\n`;
    const order = (more: string) => runsOf(read(text + more)).map(({ id }) => id);
    expect(order('order: 5')).toEqual(order('order: 5'));
    expect(order('order: 5')).not.toEqual(order('order: 6'));
    expect(
      order('order: 5')
        .map((id) => id.at(-1))
        .join(''),
    ).toBe('00001111');
  });

  it('merges settings, the nearest to the row last', () => {
    const [row] = read(`models: { cnn: { path: small_cnn, train: { epochs: 2, batch: 2 } } }
data: { pets: { path: photos, train: { batch: 3, limit: 3 } } }
train: { epochs: 1, batch: 1, limit: 1, decay-all: true }
rows: [{ model: cnn, data: pets, train: { limit: 4 } }]
`).rows;
    expect(row?.train).toEqual({ epochs: 2, batch: 3, limit: 4, 'decay-all': true });
    expect(row?.model.path).toBe(SMALL_CNN);
  });

  it('varies settings', () => {
    const { rows } = read(`${SMALL}vary: { batch: [8, 16], epochs: [1, 2] }\n`);
    expect(rows.map(({ name, varied }) => [name, varied])).toEqual([
      ['cnn-pets-batch-8-epochs-1', { batch: 8, epochs: 1 }],
      ['cnn-pets-batch-8-epochs-2', { batch: 8, epochs: 2 }],
      ['cnn-pets-batch-16-epochs-1', { batch: 16, epochs: 1 }],
      ['cnn-pets-batch-16-epochs-2', { batch: 16, epochs: 2 }],
    ]);
  });

  it('says which files a row lacks, and takes other places for them', () => {
    const text = 'models: { cnn: gone.onnx }\ndata: { pets: nowhere }\n';
    expect(read(text).rows[0]?.missing).toBe('model cnn: there is no gone.onnx; data set pets: there is no nowhere');
    const given = read(text, { models: { cnn: SMALL_CNN }, data: { pets: tmpdir() } });
    expect(given.rows[0]?.missing).toBeUndefined();
    expect(runsOf(read(text))).toEqual([]);
    expect(() => read(text, { data: { pet: 'x' } })).toThrow('has no data set `pet`; did you mean `pets`? (data)');
  });

  it('chooses runs by the words of their names', () => {
    const runs = runsOf(read(`${SMALL}policies: [F1C0, F1C1]\nseeds: [0, 1]\n`));
    const chosen = (only: string) => chosenRuns(runs, only).map(({ id }) => id);
    expect(chosen('F1C1/seed-1')).toEqual(['cnn-pets/F1C1/cold/seed-1']);
    expect(chosen('cnn,nothing')).toHaveLength(4);
    expect(chosen('F1')).toEqual([]);
  });

  it('finds the line of a value that a training would refuse, nearest to the row', () => {
    const lineOf = (text: string) => refusal(`${SMALL}${text}`);
    const refused = (line: number, got: number, where: string) =>
      `line ${line}: expected a whole number from 1 up, got \`${got}\` (${where}.batch)`;
    expect(lineOf('train: { batch: -1 }')).toBe(refused(3, -1, 'train'));
    expect(lineOf('train: { batch: -1 }\nvary:\n  batch: [8, -2]')).toBe(refused(5, -2, 'vary'));
    expect(lineOf('train: { batch: 1 }\nrows:\n  - model: cnn\n    data: pets\n    train: { batch: -3 }')).toBe(
      refused(7, -3, 'rows.0.train'),
    );
  });

  it.each([
    ['models: [', /^line 1: not YAML/],
    [`${SMALL}polices: [F1C1]`, 'line 3: there is no `polices` here; did you mean `policies`? (polices)'],
    [`${SMALL}\npolicies:\n  - F1C0\n  - F1X1`, /^line 6: .*F1X1.*\(policies\.1\)$/],
    [`${SMALL}train: { epoch: 3 }`, 'line 3: there is no setting `epoch`; did you mean `epochs`? (train.epoch)'],
    [
      `${SMALL}train:\n  seed: 3`,
      'line 4: the suite decides `seed` of each run, and `train` may not set it (train.seed)',
    ],
    [`${SMALL}train: { nesterov: 3 }`, 'line 3: expected true or false, got `3` (train.nesterov)'],
    [`${SMALL}seeds: 3`, 'line 3: expected a list, such as [a, b] (seeds)'],
    [`${SMALL}cache: hot`, 'line 3: expected one of cold, warm, both (cache)'],
    ['data: { pets: photos }', 'line 1: `models` is missing (models)'],
    [
      `${SMALL}rows:\n  - { model: cmn, data: pets }`,
      'line 4: there is no model `cmn`; did you mean `cnn`? (rows.0.model)',
    ],
    ['models: { cnn: { pth: x } }\ndata: { pets: photos }', /^line 1: there is no `pth` here; did you mean `path`/],
    ['models: { cnn: small_cnn }\ndata:\n  pets: {}', /^line 3: expected either `path`, where photos are, or `drawn`/],
    [`${SMALL}policies: [F1C1]`, /^line 3: the baseline policy F1C0 is not among them/],
    [`${SMALL}rows:\n  - { model: cnn, data: pets }\n  - { model: cnn, data: pets }`, /two rows are called `cnn-pets`/],
    ['- a', /^line 1: expected settings such as/],
  ])('refuses %j with its line', (text, message) => {
    const said = refusal(text);
    if (typeof message === 'string') expect(said).toBe(message);
    else expect(said).toMatch(message);
  });
});

it('reads the suite that docs/bench.md shows', () => {
  const page = readFileSync(new URL('../../../docs/bench.md', import.meta.url), 'utf8');
  const shown = /```yaml\n([^]*?)```/.exec(page)?.[1] ?? '';
  const { rows } = read(shown);
  expect(rows.map(({ name }) => name)).toEqual([
    'b0-flowers',
    'b0-pictures',
    'small_cnn-flowers',
    'small_cnn-pictures',
  ]);
});

describe('a suite that comes with ort-tl', () => {
  it.each(['quick', 'paper', 'scale'])('%s can be read', (name) => {
    const file = fileURLToPath(new URL(`../../../bench/${name}.yaml`, import.meta.url));
    expect(existsSync(file)).toBe(true);
    const { rows } = readSuite(file);
    if (name === 'paper') expect(rows.map(({ paper }) => paper?.fc)).toEqual([69.5, 74.5, 86.9, 78]);
    else expect(rows.every(({ missing }) => missing === undefined)).toBe(true);
  });
});
