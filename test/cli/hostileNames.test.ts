import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { drawPictures } from '../../src/data/pictures.js';
import { decodeModel, encodeModel, setMetadata } from '../../src/onnx/model.js';
import { SMALL_CNN } from '../models.js';
import { cliHere, filesBelow, folder, main, type Outcome } from './cli.js';

/** Sets a window's title, clears the screen in two ways, writes over a line, turns text around, ends a line. */
const EVIL = '\u001b]0;x\u0007\u001b[2J\u009b2J\r\u202egnp.\u2066\u2028\n';
/** As a class of a data set, whose names may have no controls. */
const TURNED = '=\u202eetis\u2066\u200b';
/** What a terminal obeys, or what turns text around; a line break ends our own lines. */
const RAW = /[\0-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069]/;

const EVIL_SHOWN = '\\x1b]0;x\\x07\\x1b[2J\\x9b2J\\r\\u202egnp.\\u2066\\u2028\\n';

// Windows has no such names.
const posix = process.platform !== 'win32';

function run(args: readonly string[], cwd = folder(), input = ''): Outcome {
  const env = { ...process.env, NO_COLOR: '1' };
  return spawnSync(process.execPath, [main, ...args], { encoding: 'utf8', cwd, env, input, timeout: 100_000 });
}

/** Expects nothing raw on a verb's outputs. */
function expectClean(outcome: Outcome, args: readonly string[], status: number): Outcome {
  const what = `${args.join(' ').slice(0, 200)}\n${outcome.stderr}`;
  expect(outcome.status, what).toBe(status);
  expect(outcome.stdout, what).not.toMatch(RAW);
  expect(outcome.stderr, what).not.toMatch(RAW);
  return outcome;
}
/** Runs a verb as a process of its own. */
const runClean = (args: readonly string[], status = 0, input = '') =>
  expectClean(run(args, undefined, input), args, status);
/** Runs a verb in this process. */
const runHere = async (args: readonly string[], status = 0) => expectClean(await cliHere(args), args, status);

/** Expects nothing raw in the files whose names match. */
function expectCleanFiles(place: string, ending: RegExp): void {
  const files = filesBelow(place).filter((path) => ending.test(path));
  expect(files).not.toEqual([]);
  for (const path of files) expect(readFileSync(path, 'utf8'), JSON.stringify(path)).not.toMatch(RAW);
}

let pictures: string;
let photo: string;
/** The small CNN, whose nodes and tensors have hostile names. */
let source: string;
/** Exported, with hostile labels. */
let tuned: string;

beforeAll(async () => {
  const place = folder();
  pictures = join(place, `pictures${posix ? EVIL : ''}`);
  await drawPictures(pictures, { set: 'demo', trainPerClass: 2, valPerClass: 1, size: 32, seed: 1 });
  for (const split of ['train', 'val']) {
    const [from, to] = [join(pictures, split, 'boat'), join(pictures, split, TURNED)];
    mkdirSync(to);
    for (const name of readdirSync(from)) copyFileSync(join(from, name), join(to, `${EVIL}${name}`));
    writeFileSync(join(to, `=${EVIL}bad.png`), 'no picture');
  }
  const [name = ''] = readdirSync(join(pictures, 'val', 'boat'));
  photo = join(place, `${EVIL}.png`);
  copyFileSync(join(pictures, 'val', 'boat', name), photo);

  const model = decodeModel(readFileSync(SMALL_CNN), SMALL_CNN);
  const rename = (old: string) => (old === '' ? '' : `${old}${EVIL}`);
  const { graph } = model;
  if (!graph) throw new Error('no graph');
  for (const node of graph.node) {
    node.name = rename(node.name);
    [node.input, node.output] = [node.input.map(rename), node.output.map(rename)];
  }
  for (const each of [...graph.initializer, ...graph.input, ...graph.output, ...graph.valueInfo])
    each.name = rename(each.name);
  source = join(place, `model${EVIL}.onnx`);
  writeFileSync(source, encodeModel(model));
  const classes = Number(graph.initializer.find(({ name: of }) => of.startsWith('fc2.bias'))?.dims[0]);
  const labels = Array.from({ length: classes }, (_, index) => `=${EVIL}‹out›${index}`);
  const preprocessing = { width: 32, height: 32, resize: 'crop', mean: [0, 0, 0], std: [1, 1, 1] };
  setMetadata(
    model,
    new Map([
      ['labels', JSON.stringify(labels)],
      ['preprocessing', JSON.stringify(preprocessing)],
      [EVIL, EVIL],
    ]),
  );
  tuned = join(place, `tuned${EVIL}.onnx`);
  writeFileSync(tuned, encodeModel(model));
});

describe.runIf(posix)('names that would act on a terminal are shown by escapes', () => {
  it('by inspect and compile', async () => {
    const { stdout } = runClean(['inspect', source, '--policy', 'F1C1']);
    expect(stdout).toContain('fc2\\x1b]0;x\\x07\\x1b[2J\\x9b2J\\r\\u202egnp.\\u2066\\u2028\\n');
    const json = JSON.parse((await runHere(['inspect', source, '--json'])).stdout) as { layers: { name: string }[] };
    expect(json.layers.map(({ name }) => name)).toContain(`fc2${EVIL}`);
    await runHere([
      'compile',
      '--model',
      source,
      '--policy',
      'full',
      '--classes',
      `${TURNED},b`,
      '--out',
      join(folder(), EVIL),
    ]);
    runClean(['inspect', `${source}x`], 2);
    await runHere(['inspect', source, '--policy', `layers:${EVIL}`], 2);
  });

  it('by predict, in its lines, its CSV and its JSON, whose values are exact', async () => {
    const flags = ['predict', '--model', tuned];
    const bad = join(pictures, 'val', TURNED, `=${EVIL}bad.png`);
    const lines = runClean([...flags, photo, bad, '--top', '2'], 2);
    expect(lines.stdout.trimEnd().split('\n')).toHaveLength(1);
    expect(lines.stdout).toContain(`${EVIL_SHOWN}.png  =${EVIL_SHOWN}‹out›`);
    expect(lines.stderr.trimEnd().split('\n')).toHaveLength(1);
    const csv = (await runHere([...flags, photo, '--csv'])).stdout.trimEnd().split('\n');
    expect(csv).toHaveLength(2);
    // A label that a spreadsheet would compute.
    expect(csv[1]).toMatch(/\.png","'=\\x1b\]0;x/);
    const [first] = JSON.parse((await runHere([...flags, photo, '--json'])).stdout) as {
      file: string;
      classes: { label: string }[];
    }[];
    expect(first?.file).toBe(photo);
    expect(first?.classes[0]?.label).toMatch(new RegExp(`^=\\u001b\\]0;x\\u0007`));
    // Paths from another program.
    runClean([...flags, '-'], 2, `${EVIL.replace('\n', '')}.jpg\n`);
  });

  it('by explain, eval, doctor, measure, and where there is no such file, flag or class', async () => {
    runClean(['explain', '--model', tuned, photo, '--out', join(folder(), EVIL)]);
    await runHere(['eval', '--model', tuned, '--data', pictures, '--max-bad', '1'], 2);
    await runHere(['predict', '--model', `${tuned}${EVIL}`, photo], 2);
    runClean(['predict', `--${EVIL}`], 2);
    runClean([EVIL], 2);
    await runHere(['train', '--config', `${EVIL}.yaml`, '--model', source, '--data', pictures], 2);
    await runHere(['bench', EVIL], 2);
    const suite = join(folder(), `${EVIL}.yaml`);
    const [title, row] = [EVIL, `row${EVIL}`].map((text) => JSON.stringify(text));
    writeFileSync(
      suite,
      `title: ${title}\nmodels: { cnn: small_cnn }\ndata: { gone: ${title}, drawn: { drawn: { train: 8, val: 4, size: 32 } } }
policies: [F1C0]\nrows: [{ model: cnn, data: gone, title: ${row} }, { model: cnn, data: drawn, title: ${row} }]\n`,
    );
    expect((await runHere(['bench', suite, '--dry-run', '--out', join(folder(), EVIL)])).stdout).toContain(
      `row${EVIL_SHOWN}`,
    );
    runClean(['measure', '--idle', '0', '--', EVIL], 127);
    runClean(['--get-yargs-completions', EVIL]);
    runClean(['predict', '--debug', '--model', `${tuned}${EVIL}`, photo], 2);
  });

  it('by a training and what follows it, and in all that it writes', async () => {
    const out = join(folder(), `run${EVIL}`);
    const cache = join(folder(), EVIL);
    const flags = ['--model', source, '--data', pictures, '--max-bad', '1', '--cache', cache];
    const train = ['train', ...flags, '--policy', 'F1C1', '--epochs', '1', '--out', out];
    const { stderr } = runClean(train);
    expect(stderr).toContain(`${EVIL_SHOWN}bad.png`);
    expectCleanFiles(out, /\.(csv|svg|html|jsonl)$|summary\.json$/);
    // The path is still that of the file.
    const summary = JSON.parse(readFileSync(join(out, 'summary.json'), 'utf8')) as { skipped: { path: string }[] };
    expect(summary.skipped.map(({ path }) => path)).toContain(join(pictures, 'val', TURNED, `=${EVIL}bad.png`));
    const model = join(out, 'model.onnx');
    await runHere(train, 2);
    await runHere(['predict', '--model', model, join(pictures, 'val', TURNED)], 2);
    await runHere(['explain', '--model', model, photo, '--out', join(folder(), EVIL)]);
    runClean(['eval', '--model', model, '--data', pictures, '--max-bad', '1']);
    const page = join(folder(), 'compared.html');
    const other = join(folder(), EVIL);
    cpSync(out, other, { recursive: true });
    await runHere(['compare', out, other, '--html', page]);
    expect(readFileSync(page, 'utf8')).not.toMatch(RAW);
    await runHere(['cache', 'ls', '--cache', cache]);
    await runHere(['cache', 'rm', EVIL, '--cache', cache], 2);
    const delta = join(folder(), `${EVIL}.delta`);
    await runHere(['export', out, '--delta', '--out', delta]);
    await runHere(['apply', '--base', source, '--delta', delta, '--out', join(folder(), EVIL)]);
    runClean(['export', out, '--precision', 'fp16', '--out', join(folder(), `${EVIL}.onnx`)]);
    await runHere(['train', '--resume', `${out}${EVIL}`], 2);
    await runHere(['import-checkpoint', `${out}${EVIL}`, '--out', EVIL], 2);
  });
});
