import { type ChildProcess, fork } from 'node:child_process';
import { statSync } from 'node:fs';
import { writeArtifacts } from '../artifacts/artifactFiles.js';
import type { Compiled } from '../artifacts/compile.js';
import type { Manifest } from '../artifacts/manifest.js';
import { Caller, processLine } from '../channel.js';
import { entryPoint } from '../entryPoint.js';
import { UserError } from '../errors.js';
import { machineError, machineErrorOf } from '../machineError.js';
import { onExit } from '../onExit.js';
import type { ModelFile } from '../onnx/model.js';
import { threadsLeft } from '../threadsLeft.js';
import { compileWithin, type Planning } from './compileWithin.js';
import type { CompilerOperations } from './compilerProcess.js';
import type { Settings } from './trainOptions.js';

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
 * @throws UserError as {@link compileWithin} does, and `stopped` when the signal fires.
 */
export async function startCompiling(model: ModelFile, planning: Planning, signal?: AbortSignal): Promise<Compiling> {
  if (isLarge(model)) {
    // It is needed again when the training is over.
    if (planning.memoryBytes !== undefined) model.forget?.();
    return compileApart(model, planning, signal);
  }
  const { compiled, settings } = await compileWithin(model, planning);
  return compiledHere(compiled, settings);
}

export function compiledHere(compiled: Compiled, settings: Settings): Compiling {
  return { settings, write: (folder) => writeArtifacts(compiled, folder), close: () => undefined };
}

function isLarge({ path }: ModelFile): boolean {
  return (statSync(path, { throwIfNoEntry: false })?.size ?? 0) >= LARGE_MODEL_BYTES;
}

async function compileApart(
  { path, sha256 }: ModelFile,
  planning: Planning,
  signal: AbortSignal | undefined,
): Promise<Compiling> {
  const compiler = new CompilerProcess();
  const close = () => {
    signal?.removeEventListener('abort', close);
    compiler.close();
  };
  /** Nobody waits for the process once the signal has fired: what is asked of it then fails. */
  const unlessStopped = async <Result>(asked: Promise<Result>): Promise<Result> => {
    try {
      return await asked;
    } catch (thrown) {
      close();
      throw signal?.aborted ? new UserError('stopped', 'stopped while compiling', { cause: thrown }) : thrown;
    }
  };
  signal?.addEventListener('abort', close);
  if (signal?.aborted) close();
  const settings = await unlessStopped(compiler.caller.call('compile', [path, sha256, planning]));
  return { settings, write: (folder) => unlessStopped(compiler.caller.call('write', [folder])), close };
}

/** The most that is kept of what the process writes to standard error: where it dies, why stands at the end. */
const LONGEST_SAID = 10_000;

/** Threads that a process of Node.js takes, and some for ONNX Runtime: with fewer it is ended, or waits for ever. */
const THREADS = 16;

/** The process that compiles. When it dies, what was asked of it and all that is asked later is refused with the reason. */
class CompilerProcess {
  readonly caller: Caller<CompilerOperations>;
  private readonly child: ChildProcess;
  private said = '';

  constructor() {
    if (threadsLeft() < THREADS)
      throw machineError(
        'out-of-threads',
        `too few threads or processes can be started: one that compiles takes ${THREADS}`,
      );
    try {
      this.child = fork(entryPoint('compilerProcess'), [String(process.pid)], {
        serialization: 'advanced',
        // Compiling leaves little garbage that is young: V8's 16 MB, three times, are not worth it.
        execArgv: ['--max-semi-space-size=4'],
        // What Node.js prints before it gives up is no line for the terminal.
        stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
      });
    } catch (thrown) {
      throw machineErrorOf(thrown) ?? thrown;
    }
    this.caller = new Caller(processLine(this.child));
    this.child.once(
      'exit',
      onExit(() => this.child.kill('SIGKILL')),
    );
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.said = (this.said + text).slice(-LONGEST_SAID);
    });
    this.child.on('error', (thrown) => {
      this.caller.end(thrown);
    });
    // Not at `exit`: what it said may come later.
    this.child.on('close', (code, signal) => {
      this.caller.end(this.reasonOf(code, signal));
    });
  }

  close(): void {
    this.child.kill();
  }

  private reasonOf(code: number | null, signal: NodeJS.Signals | null): Error {
    if (signal === 'SIGKILL')
      return machineError('out-of-memory', 'the process that compiles was killed, probably for lack of memory');
    const cause = new Error(this.said.trim());
    return new Error(`the process that compiles ended by ${signal ?? `exit code ${String(code)}`}`, { cause });
  }
}
