import { MachineError, type MachineLimit, messageOf } from './errors.js';
import { fileErrorCode } from './files.js';

/** What a machine can run out of. */
type Exhaustible = Exclude<MachineLimit, 'unsupported-machine'>;

/** What was run out of, and what to do. */
const LIMITS: Record<Exhaustible, { readonly what: string; readonly remedy: string }> = {
  'out-of-files': {
    what: 'this process may open no more files',
    remedy: 'raise the limit (ulimit -n 1024), or close what holds them',
  },
  'out-of-memory': {
    what: 'there is not enough memory',
    remedy:
      'give it more (the limit of its container, ulimit -v), or train fewer layers, smaller batches (‹batch›) or inside a limit (‹memoryBytes›)',
  },
  'out-of-threads': {
    what: 'no more threads or processes can be started',
    remedy: 'raise the limit (ulimit -u, or the pids limit of its container), or take fewer (‹threads›)',
  },
};

const CODES: Readonly<Record<string, Exhaustible>> = {
  EMFILE: 'out-of-files',
  ENFILE: 'out-of-files',
  ENOMEM: 'out-of-memory',
  ERR_MEMORY_ALLOCATION_FAILED: 'out-of-memory',
  ERR_WORKER_OUT_OF_MEMORY: 'out-of-memory',
};

/** What Node.js, V8, ONNX Runtime and libvips say, who give no code. */
const MESSAGES: readonly (readonly [RegExp, Exhaustible])[] = [
  [/\bEMFILE\b|\bENFILE\b|too many open files/i, 'out-of-files'],
  [
    /\bENOMEM\b|bad_alloc|bad allocation|failed to allocate memory|array buffer allocation failed|cannot allocate memory|out of memory/i,
    'out-of-memory',
  ],
  [/^invalid (?:typed )?array (?:buffer )?length/i, 'out-of-memory'],
  // EAGAIN of a pipe is another thing.
  [
    /^EAGAIN$|terminate called after[^]*resource temporarily unavailable|pthread_create|(?:creat|start)\w* (?:a )?thread|(?:thread|spawn|fork|worker).*(?:\bEAGAIN\b|resource temporarily unavailable)/i,
    'out-of-threads',
  ],
];
/** Causes that are looked into. */
const DEPTH = 8;

/**
 * The limit of the machine that `thrown` or one of its causes tells of, as an error that says what to do; undefined where there is none.
 */
export function machineErrorOf(thrown: unknown): MachineError | undefined {
  let error = thrown;
  for (let depth = 0; depth < DEPTH && error !== undefined && error !== null; depth++) {
    if (error instanceof MachineError) return error;
    const limit = limitOf(error);
    if (limit) {
      const { what, remedy } = LIMITS[limit];
      return new MachineError(limit, `${what}: ${shortened(messageOf(error))}; ${remedy}`, { cause: thrown });
    }
    error = error instanceof Error ? error.cause : undefined;
  }
  return undefined;
}

/** A limit that something else than an error tells of, such as a process that was killed. */
export function machineError(limit: Exhaustible, what: string): MachineError {
  return new MachineError(limit, `${what}; ${LIMITS[limit].remedy}`);
}

/** The line that tells of the limit in a message of many lines, such as Node.js prints before it aborts. */
function shortened(message: string): string {
  const lines = message.split('\n').map((line) => line.trim());
  const line = lines.find((each) => MESSAGES.some(([pattern]) => pattern.test(each))) ?? lines[0] ?? '';
  // Where in its source ONNX Runtime was says nothing to its user.
  return line.replace(/^\/\S+\.cc:\d+ .*?\) (?=pthread|\w+ fail)/, '');
}

function limitOf(error: unknown): Exhaustible | undefined {
  const code = fileErrorCode(error);
  const known = code === undefined ? undefined : CODES[code];
  if (known) return known;
  // A UserError's message may hold names from outside; what is behind it is its cause.
  if (error instanceof Error && error.name === 'UserError') return undefined;
  return MESSAGES.find(([pattern]) => pattern.test(messageOf(error)))?.[1];
}
