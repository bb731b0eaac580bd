import { closeSync, openSync, readSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
import { MachineError, messageOf } from './errors.js';
import { fileErrorCode } from './files.js';

/** What decides whether machine code that packages bring can be loaded here. */
export interface MachineFacts {
  readonly platform: string;
  readonly arch: string;
  /** The version of glibc; undefined where another C library, such as musl, is in its place. */
  readonly glibc: string | undefined;
  /** What the processor can do, by the names of Linux; undefined where it does not tell. */
  readonly processorFlags: ReadonlySet<string> | undefined;
  /** The version of Electron where that runs this process. */
  readonly electron: string | undefined;
  readonly isWorker: boolean;
}

/** The packages that bring machine code, as messages call them. */
export type NativeLibrary = 'ONNX Runtime' | 'sharp';

/** Platform → processors that onnxruntime-node 1.30 has binaries for: the folders of its `bin/napi-v6/`. */
export const RUNTIME_BINARIES: Readonly<Record<string, readonly string[]>> = {
  darwin: ['arm64'],
  linux: ['arm64', 'x64'],
  win32: ['arm64', 'x64'],
};
/** The newest version of glibc's symbols that its Linux binaries ask for (`objdump -T libonnxruntime.so.1`). */
const OLDEST_GLIBC = '2.28';
/** What sharp's Linux binaries for x64 are compiled for beyond any such processor; ONNX Runtime's choose by the processor they find. */
const SHARP_INSTRUCTIONS = 'sse4_2';

const PLATFORMS: Readonly<Record<string, string>> = { darwin: 'macOS', linux: 'Linux', win32: 'Windows' };
/** Debian's package of a library. */
const PACKAGES: readonly (readonly [RegExp, string])[] = [
  [/^libstdc\+\+/, 'libstdc++6'],
  [/^libgomp/, 'libgomp1'],
  [/^libgcc_s/, 'libgcc-s1'],
];

/**
 * Loads a package's machine code.
 * @throws MachineError `unsupported-machine` that says in one line why it does not run here, and what to do.
 */
export function loadNative<Loaded>(library: NativeLibrary, load: () => Loaded): Loaded {
  const refusal = refusedHere(library, {
    arch: process.arch,
    platform: process.platform,
    electron: process.versions['electron'],
    isWorker: !isMainThread,
    processorFlags: processorFlags(),
  });
  if (refusal !== undefined) throw new MachineError('unsupported-machine', refusal);
  try {
    return load();
  } catch (cause) {
    throw new MachineError('unsupported-machine', whyNotLoaded(library, cause, machineFacts()), { cause });
  }
}

/** What `load` says against this machine; undefined where it can load. @throws what is no such thing. */
export function nativeProblem(load: () => unknown): MachineError | undefined {
  try {
    load();
    return undefined;
  } catch (thrown) {
    if (thrown instanceof MachineError) return thrown;
    throw thrown;
  }
}

/** Why `library` is not even to be tried: it would end the process without a word. Undefined where it may be tried. */
export function refusedHere(
  library: NativeLibrary,
  { platform, arch, processorFlags, electron, isWorker }: Omit<MachineFacts, 'glibc'>,
): string | undefined {
  if (library === 'ONNX Runtime' && electron !== undefined && isWorker)
    return `ONNX Runtime ends the process at random when it is loaded in a worker of Electron (microsoft/onnxruntime#20084); have Electron start ort-tl as a process of Node.js, with child_process.spawn('node', …)`;
  const lacks = processorFlags !== undefined && !processorFlags.has(SHARP_INSTRUCTIONS);
  if (library === 'sharp' && platform === 'linux' && arch === 'x64' && lacks)
    return 'the processor has no SSE4.2, which sharp needs to decode photos (ONNX Runtime does without, AVX2 is not needed either); take a processor of 2009 or later, or, in a virtual machine, a CPU type such as host';
  return undefined;
}

/** What an error of loading `library` means on this machine, and what to do. */
export function whyNotLoaded(library: NativeLibrary, thrown: unknown, facts: MachineFacts): string {
  const message = messageOf(thrown);
  const unsupported = library === 'ONNX Runtime' ? withoutBinary(facts) : undefined;
  if (unsupported !== undefined) return unsupported;
  const [, missing] =
    /(lib[\w+.-]+\.so[\d.]*): cannot open shared object file/.exec(message) ??
    /Library not loaded: \S*?(lib[\w+.-]+\.dylib)/.exec(message) ??
    [];
  if (missing !== undefined && !/^lib(?:onnxruntime|vips)/.test(missing)) {
    const debian = PACKAGES.find(([pattern]) => pattern.test(missing))?.[1];
    const how = debian === undefined ? '' : ` (on Debian or Ubuntu: apt-get install ${debian})`;
    return `${library} needs the library ${missing}, which this system lacks; install it${how}`;
  }
  const isLost = missing !== undefined || fileErrorCode(thrown) === 'MODULE_NOT_FOUND';
  const [first = ''] = message.split('\n');
  const said = first.replaceAll(/(?:\/[^\s/:]+)+\/(?=[^\s/])/g, '').trim();
  return isLost
    ? `${library}'s files for ${describe(facts)} are not all there (${said}); install the packages again (npm ci)`
    : `${library} cannot be loaded on ${describe(facts)}: ${said}; install the packages again on this machine (npm ci)`;
}

/** Why ONNX Runtime has no machine code for such a machine; undefined where it has some. */
function withoutBinary(facts: MachineFacts): string | undefined {
  const { platform, arch, glibc } = facts;
  const where =
    'it runs on Linux with glibc (x64, arm64), on macOS (Apple silicon) and on Windows (x64, arm64); run ort-tl there';
  if (RUNTIME_BINARIES[platform]?.includes(arch) !== true) {
    const hint =
      platform === 'linux' && (arch === 'arm' || arch === 'ia32')
        ? ', say with a 64-bit system and a 64-bit Node.js on the same machine, if its processor can'
        : platform === 'darwin'
          ? ', or here in a Linux container'
          : '';
    return `ONNX Runtime has no binary for ${describe(facts)}: ${where}${hint}`;
  }
  if (platform !== 'linux') return undefined;
  if (glibc === undefined)
    return 'ONNX Runtime has no binary for a system with musl in place of glibc, such as Alpine (gcompat is not enough); take an image with glibc, such as node:22-slim';
  if (isOlder(glibc, OLDEST_GLIBC))
    return `ONNX Runtime needs glibc ${OLDEST_GLIBC} or later, and this system has ${glibc}; take a later one, such as Debian 10 or Ubuntu 20.04, or an image such as node:22-slim`;
  return undefined;
}

const describe = ({ platform, arch }: MachineFacts) => `${PLATFORMS[platform] ?? platform} on ${arch}`;

/** Whether version `a`, such as 2.9, comes before `b`. */
function isOlder(a: string, b: string): boolean {
  const [majorA = 0, minorA = 0] = a.split('.').map(Number);
  const [majorB = 0, minorB = 0] = b.split('.').map(Number);
  return majorA < majorB || (majorA === majorB && minorA < minorB);
}

function machineFacts(): MachineFacts {
  return {
    platform: process.platform,
    arch: process.arch,
    glibc: process.platform === 'linux' ? glibcVersion() : undefined,
    processorFlags: processorFlags(),
    electron: process.versions['electron'],
    isWorker: !isMainThread,
  };
}

/** Makes a whole report, which takes a while: to be asked when something is wrong. */
function glibcVersion(): string | undefined {
  const report: unknown = process.report.getReport();
  const header: unknown = typeof report === 'object' && report !== null ? Reflect.get(report, 'header') : undefined;
  const version: unknown =
    typeof header === 'object' && header !== null ? Reflect.get(header, 'glibcVersionRuntime') : undefined;
  return typeof version === 'string' ? version : undefined;
}

/** What Linux tells of the first processor is within so many bytes. */
const CPUINFO_BYTES = 16_384;

/** The processor's flags in the text of `path`; undefined where there is none, or it tells none. */
export function processorFlags(path = '/proc/cpuinfo'): ReadonlySet<string> | undefined {
  const buffer = Buffer.alloc(CPUINFO_BYTES);
  let length: number;
  try {
    const file = openSync(path, 'r');
    try {
      length = readSync(file, buffer);
    } finally {
      closeSync(file);
    }
  } catch {
    return undefined;
  }
  const [, flags] = /^flags\s*: (.*)$/m.exec(buffer.toString('latin1', 0, length)) ?? [];
  return flags === undefined ? undefined : new Set(flags.trim().split(/\s+/));
}
