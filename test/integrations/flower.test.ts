import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { drawPictures } from '../../src/data/pictures.js';
import { cli, folder, main } from '../cli/cli.js';
import { SMALL_CNN, TINY_MBCONV } from '../models.js';
import { Federation, python, roundsOf } from './federation.js';

const REASON = 'skipped unless ORT_TL_FLOWER_PYTHON or python3 has flwr 1.42, numpy and safetensors';
const CLASSES = ['boat', 'cup', 'fish', 'flower', 'house', 'tree'];

it.skipIf(!python)(`has parts that do what they say (${REASON})`, () => {
  const tests = fileURLToPath(new URL('../../integrations/flower/tests', import.meta.url));
  const { status, stderr } = spawnSync(String(python), ['-m', 'unittest', 'discover', '-s', tests], {
    encoding: 'utf8',
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1', FLWR_TELEMETRY_ENABLED: '0' },
  });
  expect(status, stderr).toBe(0);
});

describe.skipIf(!python)(`a federation of devices (${REASON})`, () => {
  const work = folder();
  const at = (name: string) => join(work, name);
  let federation: Federation;
  let said: string;
  let again: string;

  beforeAll(async () => {
    for (const [index, name] of ['north', 'south', 'server'].entries())
      await drawPictures(at(`photos-${name}`), { set: 'demo', trainPerClass: 8, valPerClass: 4, seed: index + 1 });
    compile('artifacts', SMALL_CNN, CLASSES);
    compile('other-classes', SMALL_CNN, [...CLASSES.slice(1), 'zebra']);
    compile('other-model', TINY_MBCONV, CLASSES);
    federation = await Federation.start(work);
    const honest = { artifacts: at('artifacts'), photos: at('photos-north') };
    await Promise.all([
      federation.join({ name: 'north', ...honest }),
      federation.join({ name: 'south', ...honest, photos: at('photos-south') }),
      federation.join({ name: 'nan', ...honest, command: poisoning() }),
      federation.join({ name: 'stranger', ...honest, artifacts: at('other-classes') }),
      federation.join({ name: 'foreigner', ...honest, artifacts: at('other-model') }),
    ]);
    const server = { artifacts: at('artifacts'), photos: at('photos-server'), out: at('kept'), model: SMALL_CNN };
    const settings = { ...server, 'min-devices': 3, 'evaluate-every': 0 };
    said = await federation.run({ ...settings, rounds: 1 });
    again = await federation.run({ ...settings, rounds: 3 });
  });

  afterAll(() => federation.stop());

  /** Compiles artifacts, as lie on each device beforehand. */
  function compile(name: string, model: string, classes: readonly string[]): void {
    const { status, stderr } = cli(
      ['compile', '--model', model, '--policy', 'F1C1', '--classes', classes.join(','), '--out', at(name)],
      work,
    );
    expect(status, stderr).toBe(0);
  }

  /** A command that trains, and gives back what is no number. */
  function poisoning(): string {
    const script = at('poisoning.mjs');
    writeFileSync(
      script,
      `import { spawnSync } from 'node:child_process';
       import { readFileSync, writeFileSync } from 'node:fs';
       const args = process.argv.slice(2);
       const { status } = spawnSync(process.execPath, [${JSON.stringify(main)}, ...args], { stdio: 'inherit' });
       const file = args[args.indexOf('--out') + 1] + '/parameters.safetensors';
       if (status === 0 && args.includes('--data')) {
         const bytes = readFileSync(file);
         bytes.writeFloatLE(NaN, bytes.length - 4);
         writeFileSync(file, bytes);
       }
       process.exitCode = status ?? 1;`,
    );
    return `${process.execPath} ${script}`;
  }

  it('trains on the devices that have what was agreed, and leaves the others out by name', () => {
    const [first, ...later] = roundsOf(at('kept')).slice(1);
    expect(Object.keys(first?.devices ?? {}).sort()).toEqual(['north', 'south']);
    expect(first?.photos).toBe(2 * 6 * 8);
    expect(first?.leftOut['stranger']).toBe(
      `another class list: ${[...CLASSES.slice(1), 'zebra'].join(', ')} instead of ${CLASSES.join(', ')}`,
    );
    expect(first?.leftOut['foreigner']).toMatch(/^another model: /);
    for (const round of [first, ...later]) expect(round?.leftOut['nan']).toMatch(/is not finite: 1 of \d+ values/);
    expect(said).toContain('nan is left out: its "');
    expect(said).toContain('stranger is left out: another class list');
  });

  it('evaluates on the photos of the server after each round, and on those of the devices after the last', () => {
    const rounds = roundsOf(at('kept'));
    // The folder has its own photos to validate with: those alone count.
    expect(rounds.map(({ atTheServer }) => atTheServer.evaluated)).toEqual([24, 24, 24, 24]);
    expect(rounds.map(({ pooled }) => pooled?.evaluated)).toEqual([undefined, 3 * 24, undefined, 3 * 24]);
  });

  it('sends the parameters that train, and little else, where devices do not evaluate', () => {
    expect(cli(['fit', at('artifacts'), '--epochs', '0', '--out', at('fit')], work).status).toBe(0);
    const { parameterBytes } = JSON.parse(readFileSync(at('fit/fit.json'), 'utf8')) as { parameterBytes: number };
    for (const bytes of Object.values(roundsOf(at('kept'))[2]?.bytes ?? {})) {
      expect(bytes).toBeGreaterThan(3 * parameterBytes);
      expect(bytes).toBeLessThan(3 * (parameterBytes + 4096));
    }
  });

  it('asks nobody outside for anything', () => expect(federation.attempts).toBe(0));

  it('goes on after the last whole round, to a tuned model', () => {
    expect(roundsOf(at('kept')).map(({ round }) => round)).toEqual([0, 1, 2, 3]);
    expect(again).toContain('goes on after round 1');
    expect(cli(['inspect', '--model', at('kept/tuned.onnx')], work).status).toBe(0);
  });
});
