import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { drawPictures } from '../../src/data/pictures.js';
import { filesBelow, folder, main } from '../cli/cli.js';
import { SMALL_CNN } from '../models.js';

const library = fileURLToPath(new URL('../../dist/index.js', import.meta.url));
const ort = fileURLToPath(new URL('../../node_modules/onnxruntime-node/dist/index.js', import.meta.url));
let pictures: string;
beforeAll(async () => {
  pictures = join(folder(), 'pictures');
  await drawPictures(pictures, { set: 'demo', trainPerClass: 4, valPerClass: 2, size: 32, seed: 1 });
});

/** With any of these set, ONNX Runtime 1.30 takes the machine for a build server's and leaves its telemetry off. */
const BUILD_SERVERS = [
  ...['CI', 'TF_BUILD', 'GITHUB_ACTIONS', 'GITLAB_CI', 'CIRCLECI', 'TRAVIS', 'JENKINS_URL', 'CODEBUILD_BUILD_ID'],
  ...['BUILDKITE', 'TEAMCITY_VERSION', 'APPVEYOR', 'BITBUCKET_BUILD_NUMBER'],
];

const canTrace = spawnSync('strace', ['-o', '/dev/null', 'true']).status === 0;

interface Traces {
  /** Files in the home folder, and what is left in the one for temporary files. */
  readonly files: readonly string[];
  /** Calls that make or use a socket of the internet, where they can be traced. */
  readonly calls: readonly string[];
}

/** Runs Node.js with an empty home and an empty temporary folder, and tells what it left there and whom it called. */
function runAlone(args: readonly string[], env: NodeJS.ProcessEnv = {}): Traces {
  const place = folder();
  const [home, temporary, trace] = [join(place, 'home'), join(place, 'temporary'), join(place, 'trace')];
  for (const each of [home, temporary]) mkdirSync(each);
  const command = [process.execPath, ...args];
  const [program = '', ...words] = canTrace
    ? ['strace', '-f', '-qq', '-e', 'trace=network', '-o', trace, ...command]
    : command;
  const { status, stderr } = spawnSync(program, words, {
    encoding: 'utf8',
    cwd: place,
    env: {
      ...process.env,
      ORT_DISABLE_TELEMETRY: undefined,
      ...Object.fromEntries(BUILD_SERVERS.map((name) => [name, undefined])),
      ...{ HOME: home, USERPROFILE: home, LOCALAPPDATA: home, TMPDIR: temporary, TEMP: temporary, TMP: temporary },
      ...{ XDG_CACHE_HOME: '', ORT_TL_CACHE: join(place, 'cache'), ...env },
    },
  });
  expect(status, stderr).toBe(0);
  const files = [...filesBelow(home), ...readdirSync(temporary).map((name) => join(temporary, name))];
  const calls = canTrace
    ? readFileSync(trace, 'utf8')
        .split('\n')
        .filter((line) => /AF_INET|AF_PACKET/.test(line))
    : [];
  return { files, calls };
}

const NOTHING: Traces = { files: [], calls: [] };

/** A program of somebody's, in a file. */
function script(text: string): string {
  const path = join(folder(), 'program.mjs');
  writeFileSync(path, text);
  return path;
}

const training = (out: string) => `
  const { openDataset, readModel, Trainer } = await import(${JSON.stringify(library)});
  const dataset = await openDataset(${JSON.stringify(pictures)}, { seed: 0 });
  const model = readModel(${JSON.stringify(SMALL_CNN)});
  await new Trainer({ model, dataset, policy: 'F1C0', epochs: 1, out: ${JSON.stringify(out)} }).run();`;

/** `program` in a worker, whose main thread does `meanwhile`. */
const inWorker = (program: string, options = '{}', meanwhile = '') => `
  import { isMainThread, Worker } from 'node:worker_threads';
  if (isMainThread) {
    new Worker(new URL(import.meta.url), ${options});
    ${meanwhile}
  } else {
    ${program}
  }`;

/** Long enough for a program's first session. */
const WAIT = 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3000);';

describe('ort-tl leaves nothing in the home folder and calls nobody', () => {
  it('as a command that trains, predicts, evaluates, exports and looks at the machine', () => {
    const run = join(folder(), 'run');
    const model = join(run, 'model.onnx');
    const flags = ['--model', SMALL_CNN, '--data', pictures, '--policy', 'F1C1', '--epochs', '1'];
    expect(runAlone([main, 'train', ...flags, '--out', run])).toEqual(NOTHING);
    expect(runAlone([main, 'predict', '--model', model, join(pictures, 'val')])).toEqual(NOTHING);
    expect(runAlone([main, 'explain', '--model', model, join(pictures, 'val', 'boat')])).toEqual(NOTHING);
    expect(
      runAlone([main, 'export', run, '--precision', 'int8', '--format', 'ort', '--out', join(folder(), 'm.ort')]),
    ).toEqual(NOTHING);
    expect(runAlone([main, 'doctor'])).toEqual(NOTHING);
  });

  it('as a library', () => {
    expect(runAlone([script(training(join(folder(), 'run')))])).toEqual(NOTHING);
  });

  it('as a library that is first imported in a worker, whatever its main thread does meanwhile', () => {
    const run = join(folder(), 'run');
    expect(runAlone([script(inWorker(training(run)))])).toEqual(NOTHING);
    for (const [options, meanwhile] of [
      ['{ env: {} }', ''],
      ['{}', `setTimeout(() => ${WAIT.slice(0, -1)}, 0);`],
      ['{}', 'for (const began = Date.now(); Date.now() - began < 1500; );'],
    ] as const) {
      const session = `const { ImageClassifier } = await import(${JSON.stringify(library)});
        await ImageClassifier.open(${JSON.stringify(join(run, 'model.onnx'))});`;
      expect(runAlone([script(inWorker(session, options, meanwhile))]), options + meanwhile).toEqual(NOTHING);
    }
  });

  it('unless the user has set the variable to what leaves telemetry on, which is his choice', () => {
    const program = script(`import ${JSON.stringify(library)}; console.log(process.env.ORT_DISABLE_TELEMETRY);`);
    for (const value of ['0', '']) {
      const { stdout } = spawnSync(process.execPath, [program], {
        encoding: 'utf8',
        env: { ...process.env, ORT_DISABLE_TELEMETRY: value },
      });
      expect(stdout).toBe(`${value}\n`);
    }
  });

  it('and would be seen here if it did', (context) => {
    if (process.platform === 'linux') {
      // ONNX Runtime by itself, with its telemetry on. A thread of its own writes the files, some time later.
      const plain = `import { readdirSync } from 'node:fs';
        import ort from ${JSON.stringify(ort)};
        await ort.InferenceSession.create(${JSON.stringify(SMALL_CNN)});
        for (let tries = 0; tries < 600 && readdirSync(process.env.HOME).length === 0; tries++) {
          await new Promise((done) => setTimeout(done, 50));
        }`;
      expect(runAlone([script(plain)]).files).not.toEqual([]);
    }
    if (!canTrace) context.skip('there is no strace here, or it may not trace: sockets are not looked at');
    const listens = `import { createServer } from 'node:net';
      const server = createServer().listen(0, '127.0.0.1', () => server.close());`;
    expect(runAlone([script(listens)]).calls).not.toEqual([]);
  });
});

it('a command that is measured has the environment that its user gave it', () => {
  const show = ['measure', '--idle', '0', '--', process.execPath, '-p', 'process.env.ORT_DISABLE_TELEMETRY'];
  const run = (value: string | undefined) =>
    spawnSync(process.execPath, [main, ...show], {
      encoding: 'utf8',
      env: { ...process.env, ORT_DISABLE_TELEMETRY: value },
    }).stdout;
  expect(run(undefined)).toBe('undefined\n');
  expect(run('1')).toBe('1\n');
});
