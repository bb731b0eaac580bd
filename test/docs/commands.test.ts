import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { drawPictures } from '../../src/data/pictures.js';
import { SMALL_CNN } from '../models.js';
import { type Block, blocksOf, commandsOf, firstMissing } from './page.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const blocksOfPage = (page: string) => blocksOf(readFileSync(join(root, page), 'utf8'));

/**
 * In each page ` ```sh ` is run, ` ```text ` below it is what it prints, ` ```js ` and ` ```ts ` are programs: those that begin
 * with their file's name are saved for the commands that follow, the others are run.
 */
const PAGES = [
  'README.md',
  'docs/tutorial.md',
  'docs/data.md',
  'docs/labels.md',
  'docs/policies.md',
  'docs/how-it-works.md',
  'docs/comparison.md',
  'docs/bench.md',
  'docs/energy.md',
  'docs/export.md',
  'docs/networks.md',
];
/** Fences whose commands are not run. */
const NOT_RUN = ['console', 'indented'];

/** What no page runs, because it installs or downloads something, needs files that are not here, or takes minutes. */
const COMMANDS_NOT_RUN: Readonly<Record<string, readonly string[]>> = {
  'README.md': [
    'npm ci && npm run demo     # trains, evaluates, exports and predicts with what the repository holds, in under a minute',
    'npm ci && npm test         # passes the tests',
    'npx ort-tl bench quick',
    'npm run bench:peers -- --model efficientnet_b0.onnx --data photos/ --python-torch P --python-ort Q',
    'npm run bench:growth -- --model efficientnet_b0.onnx --data photos/',
    'npm run zoo -- FOLDER              # public architectures, by four policies',
    "npm run test:backend -- FOLDER     # the ONNX project's own test cases",
    'npm run fuzz -- --count 5000 --seed 0',
    'npm run test:kill -- --times 30 --only train-F1C1',
  ],
  'docs/tutorial.md': ['npm install onnxruntime-node sharp'],
  'docs/bench.md': [
    'ort-tl bench quick                     # the embedded model on drawn pictures, in under five minutes',
    'ort-tl bench my-suite.yaml --dry-run   # what would run, and how long it would take',
    'ort-tl bench my-suite.yaml             # runs it; the same command goes on where it stopped',
    'ort-tl bench my-suite.yaml --shard 1/3 --out part1   # one of three parts, on any machine',
    'ort-tl bench my-suite.yaml --shard 2/3 --out part2',
    'ort-tl bench my-suite.yaml --shard 3/3 --out part3',
    'ort-tl bench merge part1 part2 part3 --out all       # the suite, as if one machine had run it',
    'ort-tl bench my-suite.yaml --on slurm --shards 8 --partition cpu --time 2:00:00 --out /shared/my-suite',
  ],
  'docs/how-it-works.md': [
    'npx vitest run test/autodiff/blocked.test.ts test/graph/rows.test.ts',
    'npx vitest run test/autodiff test/train/pytorch.test.ts',
    'npx vitest run test/train/resume.test.ts',
  ],
  'docs/energy.md': ['ort-tl measure --powercap /host/sys/class/powercap -- …'],
  'docs/export.md': [
    'ort-tl import-checkpoint trained --artifacts phone --model models/small_cnn.onnx --out tuned.onnx',
  ],
  'docs/comparison.md': [
    'npm ci --omit=dev --ignore-scripts',
    'pip install ultralytics',
    'python bench/comparison/sizes.py ultralytics',
    'python bench/comparison/check_ultralytics.py FOLDER',
    'pip install fastai',
    'python bench/comparison/sizes.py fastai',
    'python bench/comparison/check_fastai.py FOLDER',
    'pip install keras tensorflow-cpu tf2onnx',
    'python bench/comparison/sizes.py keras tensorflow-cpu',
    'python bench/comparison/check_keras.py FOLDER models/small_cnn.onnx',
    'pip install timm',
    'python bench/comparison/sizes.py timm',
  ],
};

/** A folder in which a page's commands find the checkout's packages and models, and `npx ort-tl` the built command. */
function folderFor(): { cwd: string; env: NodeJS.ProcessEnv } {
  const cwd = mkdtempSync(join(tmpdir(), 'ort-tl-docs-'));
  const bin = join(cwd, 'node_modules', '.bin');
  mkdirSync(bin, { recursive: true });
  for (const name of ['models', 'test']) symlinkSync(join(root, name), join(cwd, name));
  symlinkSync(root, join(cwd, 'node_modules', 'ort-tl'));
  for (const name of ['onnxruntime-node', 'sharp'])
    symlinkSync(join(root, 'node_modules', name), join(cwd, 'node_modules', name));
  const script = (name: string, line: string) => {
    writeFileSync(join(bin, name), `#!/bin/sh\nexec ${line} "$@"\n`);
    chmodSync(join(bin, name), 0o755);
  };
  script('ort-tl', `"${process.execPath}" "${join(root, 'dist', 'bin', 'main.js')}"`);
  // npx itself takes longer than most of the commands.
  script('npx', '');
  const PATH = [bin, process.env['PATH']].join(delimiter);
  // What other pages, and tests before, have computed would be found there.
  return { cwd, env: { ...process.env, PATH, ORT_TL_CACHE: join(cwd, 'cache') } };
}

/** What a page takes for granted. */
const PREPARATIONS: Readonly<Record<string, (cwd: string) => Promise<void>>> = {
  'README.md': async (cwd) => {
    copyFileSync(SMALL_CNN, join(cwd, 'efficientnet_b0.onnx'));
    await drawPictures(join(cwd, 'photos'), { set: 'demo', trainPerClass: 5, valPerClass: 2, seed: 1 });
    copyFileSync(join(cwd, 'photos', 'val', 'boat', '0000.jpg'), join(cwd, 'some.jpg'));
    copyFileSync(join(cwd, 'photos', 'val', 'cup', '0000.jpg'), join(cwd, 'other.png'));
  },
};

/** Runs a page's blocks in order, and gives what did not come out as the page says. */
function run(page: string, blocks: readonly Block[], cwd: string, env: NodeJS.ProcessEnv): string[] {
  const faults: string[] = [];
  let printed = '';
  const shell = (block: Block, source: string, exitCode: number) => {
    const { status, stdout } = spawnSync(
      'bash',
      ['-o', 'pipefail', '-c', `{ ${source.replace(/\s#.*$/, '')}\n} 2>&1`],
      {
        ...{ cwd, env, encoding: 'utf8', timeout: 300_000 },
      },
    );
    // What takes longer than two seconds, as some things do on a slow machine, tells how far it is.
    printed += stdout.replace(/^[a-z ]+: \d+ of \d+ .*\n/gm, '');
    if (status !== exitCode)
      faults.push(`${page}:${block.line}: \`${source}\` exits with ${String(status)}, and prints\n${stdout}`);
  };
  for (const block of blocks) {
    const text = block.lines.join('\n');
    switch (block.language) {
      case 'sh':
        printed = '';
        for (const { source, exitCode } of commandsOf(block)) shell(block, source, exitCode);
        break;
      case 'text': {
        const missing = firstMissing(text, printed);
        if (missing !== undefined)
          faults.push(
            `${page}:${block.line}: the page shows\n${text}\nand it prints\n${printed}\nwhich lacks ${missing}`,
          );
        break;
      }
      case 'js':
      case 'ts': {
        const named = /^\/\/ (\S+\.m?js)$/.exec(block.lines[0] ?? '')?.[1];
        const file = join(cwd, named ?? `program-${block.line}.mjs`);
        mkdirSync(dirname(file), { recursive: true });
        writeFileSync(file, text);
        if (named === undefined) shell(block, `node ${file}`, 0);
      }
    }
  }
  return faults;
}

describe.each(PAGES)('%s', (page) => {
  const blocks = blocksOfPage(page);

  it('has no code of a kind that this test does not know', () => {
    const known = ['sh', 'text', 'js', 'ts', 'yaml', ...NOT_RUN];
    expect(blocks.filter(({ language }) => !known.includes(language))).toEqual([]);
  });

  it('lists what it does not run', () => {
    const commands = blocks
      .filter(({ language }) => NOT_RUN.includes(language))
      .flatMap(({ lines }) => lines.filter((line) => /^(npm|npx|node|ort-tl|pip|python|curl|git) /.test(line)));
    expect(commands).toEqual(COMMANDS_NOT_RUN[page] ?? []);
  });

  it('says what its commands do', async () => {
    const { cwd, env } = folderFor();
    await PREPARATIONS[page]?.(cwd);
    expect(run(page, blocks, cwd, env).join('\n\n')).toBe('');
  }, 600_000);
});
