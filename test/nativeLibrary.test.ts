import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { carried, revived } from '../src/carriedError.js';
import { MachineError } from '../src/errors.js';
import {
  loadNative,
  type MachineFacts,
  processorFlags,
  refusedHere,
  RUNTIME_BINARIES,
  whyNotLoaded,
} from '../src/nativeLibrary.js';
import { folder, main } from './cli/cli.js';

const here: MachineFacts = {
  platform: 'linux',
  arch: 'x64',
  glibc: '2.36',
  processorFlags: new Set(['sse2', 'sse4_2', 'avx2']),
  electron: undefined,
  isWorker: false,
};
/** As Node.js, musl, glibc and macOS say it. */
const musl = Object.assign(
  new Error(
    'Error loading shared library ld-linux-x86-64.so.2: No such file or directory (needed by /app/node_modules/onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime.so.1)',
  ),
  { code: 'ERR_DLOPEN_FAILED' },
);
const missing = (library: string) => new Error(`${library}: cannot open shared object file: No such file or directory`);
const notFound = Object.assign(
  new Error(
    "Cannot find module '../bin/napi-v6/linux/arm/onnxruntime_binding.node'\nRequire stack:\n- /app/node_modules/onnxruntime-node/dist/binding.js",
  ),
  { code: 'MODULE_NOT_FOUND' },
);

describe('where ONNX Runtime cannot be loaded, one line says why and what to do:', () => {
  it.each<[string, unknown, Partial<MachineFacts>, RegExp]>([
    ['musl', musl, { glibc: undefined }, /musl in place of glibc.*Alpine.*gcompat is not enough.*node:22-slim/],
    ['32-bit ARM', notFound, { arch: 'arm' }, /no binary for Linux on arm: .*64-bit system/],
    [
      'macOS on Intel',
      notFound,
      { platform: 'darwin', arch: 'x64', glibc: undefined },
      /macOS on x64.*Linux container/,
    ],
    ['FreeBSD', notFound, { platform: 'freebsd', glibc: undefined }, /no binary for freebsd on x64: it runs on Linux/],
    ['glibc 2.9', new Error("version `GLIBC_2.28' not found"), { glibc: '2.9' }, /needs glibc 2\.28.*has 2\.9/],
    ['libstdc++', missing('libstdc++.so.6'), {}, /lacks; install it .*apt-get install libstdc\+\+6/],
    ['libgomp', missing('libgomp.so.1'), {}, /library libgomp\.so\.1, .*apt-get install libgomp1/],
    [
      'another library',
      missing('libatomic.so.1'),
      {},
      /library libatomic\.so\.1, which this system lacks; install it$/,
    ],
    ['its own library', missing('libonnxruntime.so.1'), {}, /not all there .*install the packages again/],
    ['its binary, on a machine that it has one for', notFound, {}, /not all there .*install the packages again/],
    [
      'anything else',
      new Error('/a/b.node: invalid ELF header\nsecond line'),
      {},
      /Linux on x64: b\.node: invalid ELF/,
    ],
  ])('%s', (_, thrown, facts, message) => {
    const line = whyNotLoaded('ONNX Runtime', thrown, { ...here, ...facts });
    expect(line).toMatch(message);
    expect(line).not.toContain('\n');
  });

  it('is not even tried in a worker of Electron, where it may end the process', () => {
    const electron = { ...here, electron: '38.0.0' };
    expect(refusedHere('ONNX Runtime', { ...electron, isWorker: true })).toMatch(/worker of Electron.*spawn\('node'/);
    expect(refusedHere('ONNX Runtime', electron)).toBeUndefined();
    expect(refusedHere('ONNX Runtime', { ...here, isWorker: true })).toBeUndefined();
  });
});

it('knows the machines that the installed onnxruntime-node has binaries for', () => {
  const bin = fileURLToPath(new URL('../node_modules/onnxruntime-node/bin/napi-v6', import.meta.url));
  // Other platforms' may have been removed to save room.
  for (const platform of readdirSync(bin))
    for (const arch of readdirSync(join(bin, platform))) expect(RUNTIME_BINARIES[platform]).toContain(arch);
  expect(RUNTIME_BINARIES[process.platform]).toContain(process.arch);
});

describe('the processor', () => {
  const cpuinfo = (text: string): string => {
    const path = join(folder(), 'cpuinfo');
    writeFileSync(path, text);
    return path;
  };
  // As Linux tells of an Intel Core 2 Duo, without SSE4.2, and of a Cortex-A76.
  const conroe = 'processor\t: 0\nmodel name\t: Core 2\nflags\t\t: fpu sse sse2 ssse3 cx16 lm\nbugs\t\t:\n\n';

  it('is refused for sharp without SSE4.2, and for nothing else without AVX2', () => {
    const old = { ...here, processorFlags: processorFlags(cpuinfo(conroe)) };
    expect(refusedHere('sharp', old)).toMatch(/no SSE4\.2, which sharp needs/);
    expect(refusedHere('ONNX Runtime', old)).toBeUndefined();
    expect(refusedHere('sharp', { ...here, processorFlags: new Set(['sse4_2']) })).toBeUndefined();
  });

  it('is not refused where it does not tell what it can do', () => {
    const arm = processorFlags(cpuinfo('processor\t: 0\nFeatures\t: fp asimd\n'));
    expect(arm).toBeUndefined();
    expect(refusedHere('sharp', { ...here, processorFlags: arm })).toBeUndefined();
    expect(processorFlags(join(folder(), 'none'))).toBeUndefined();
  });
});

it('keeps what was thrown as the cause of a limit of the machine, which crosses threads', () => {
  const load = () =>
    loadNative('ONNX Runtime', () => {
      throw missing('libstdc++.so.6');
    });
  expect(load).toThrow(MachineError);
  try {
    load();
  } catch (thrown) {
    const sent: unknown = JSON.parse(JSON.stringify(carried(thrown)));
    expect(sent).toMatchObject({ code: 'unsupported-machine', cause: { message: /libstdc/ } });
    expect(revived(carried(thrown))).toBeInstanceOf(MachineError);
  }
});

describe('on Alpine', () => {
  /** Has Node.js find what it finds there. */
  const preload = `
    const Module = require('node:module');
    const load = Module._extensions['.node'];
    Module._extensions['.node'] = (module, path) => {
      if (path.includes('onnxruntime')) throw Object.assign(new Error(${JSON.stringify(musl.message)}), { code: 'ERR_DLOPEN_FAILED' });
      load(module, path);
    };
    process.report.getReport = () => ({ header: {} });`;
  const run = (...args: string[]) => {
    const cwd = folder();
    writeFileSync(join(cwd, 'alpine.cjs'), preload);
    return spawnSync(process.execPath, ['--require', join(cwd, 'alpine.cjs'), main, ...args], {
      encoding: 'utf8',
      cwd,
    });
  };

  it('doctor runs, says it in one line, and exits with 1', () => {
    const { status, stdout, stderr } = run('doctor');
    expect(stdout).toMatch(/^ort-tl .*, onnxruntime-node \d/);
    expect(stderr.trim()).toMatch(/^ort-tl: ONNX Runtime has no binary for a system with musl.*$/);
    expect(status).toBe(1);
    const { problems } = JSON.parse(run('doctor', '--json').stdout) as { problems: unknown[] };
    expect(problems).toEqual([{ code: 'unsupported-machine', message: stderr.trim().replace('ort-tl: ', '') }]);
  });

  it('the first session says it, and what needs none works', () => {
    const model = fileURLToPath(new URL('../models/small_cnn.onnx', import.meta.url));
    const { status, stderr } = run('predict', '--model', model, fileURLToPath(import.meta.url));
    expect(stderr.trim()).toMatch(/^ort-tl: ONNX Runtime has no binary for a system with musl.*$/);
    expect(status).toBe(1);
    expect(run('inspect', model).status).toBe(0);
  });
});
