import { type ChildProcess, fork, type ForkOptions } from 'node:child_process';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Compiled, writeArtifacts } from '../artifacts/compile.js';
import type { Manifest } from '../artifacts/manifest.js';
import { UserError } from '../errors.js';
import { onExit } from '../onExit.js';
import type { ModelFile } from '../onnx/model.js';
import type { Answer, Request } from './compilerProcess.js';
import { compileWithin, type Planning } from './compileWithin.js';
import type { Settings } from './options.js';

/** Smaller models leave little behind, and are compiled sooner than a process starts. */
const LARGE_MODEL_BYTES = 8e6;

/** A compiled training, here or in a process of its own. */
export interface Compiling {
  /** With the plan that was found for the memory. */
  readonly settings: Settings;
  /** Writes the artifacts into `folder`, and forgets them. @throws UserError `write-failed`. */
  write(folder: string): Promise<Manifest>;
  /** Ends what was started for it. */
  close(): void;
}

/**
 * Compiles a training. Of a large model in a process of its own, since a process never gives back what compiling takes: 70 MB for
 * EfficientNet-B0, and twice as much where several plans are tried.
 * @throws UserError as {@link compileWithin} does.
 */
export async function startCompiling(model: ModelFile, planning: Planning): Promise<Compiling> {
  if (isLarge(model)) return compileApart(model, planning);
  const { compiled, settings } = await compileWithin(model, planning);
  return compiledHere(compiled, settings);
}

export function compiledHere(compiled: Compiled, settings: Settings): Compiling {
  return { settings, write: (folder) => writeArtifacts(compiled, folder), close: () => undefined };
}

function isLarge({ path }: ModelFile): boolean {
  return (statSync(path, { throwIfNoEntry: false })?.size ?? 0) >= LARGE_MODEL_BYTES;
}

async function compileApart({ path, sha256 }: ModelFile, planning: Planning): Promise<Compiling> {
  // Under a TypeScript test runner this file is source, and the process runs the built one.
  const file = import.meta.url.endsWith('.ts') ? '../../dist/train/compilerProcess.js' : './compilerProcess.js';
  const options: ForkOptions = { serialization: 'advanced', execArgv: [] };
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), [String(process.pid)], options);
  child.once(
    'exit',
    onExit(() => child.kill('SIGKILL')),
  );
  try {
    const { settings } = await ask(child, { path, sha256, planning });
    return {
      settings: given(settings),
      write: async (folder) => given((await ask(child, { folder })).manifest),
      close: () => child.kill(),
    };
  } catch (thrown) {
    child.kill();
    throw thrown;
  }
}

async function ask(child: ChildProcess, request: Request): Promise<Answer> {
  child.send(request);
  const ended = new AbortController();
  const exit = once(child, 'exit', { signal: ended.signal }).then(([code, signal]) => {
    throw new Error(`the process that compiles ended by ${String(signal ?? code)}`);
  });
  const [answer] = (await Promise.race([once(child, 'message'), exit])) as [Answer];
  ended.abort();
  const { error } = answer;
  if (error) throw error.code === undefined ? new Error(error.message) : new UserError(error.code, error.message);
  return answer;
}

function given<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the process that compiles gave no answer');
  return value;
}
