import { UserError } from './errors.js';

/** A part of some work, one of `count`. */
export interface Shard {
  /** From 1 to `count`. */
  readonly index: number;
  readonly count: number;
  /** Which of an engine's variables said so; undefined where it was written out. */
  readonly readFrom?: string;
}

/** More parts than any array has: Slurm's own most is 4,000,001. */
const MOST = 4_000_001;

type Environment = Readonly<Record<string, string | undefined>>;

/** An engine that starts the same command several times, and the variables by which it tells each which one it is. */
interface Engine {
  readonly name: string;
  readonly variables: string;
  /** Undefined where its variables are not all set. */
  readonly read: (env: Environment) => { readonly index: number; readonly count: number } | undefined;
}

/** In the order in which they are asked. */
const ENGINES: readonly Engine[] = [
  {
    name: 'Slurm',
    variables: 'SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_COUNT',
    read: (env) => {
      const [id, count] = [whole(env, 'SLURM_ARRAY_TASK_ID'), whole(env, 'SLURM_ARRAY_TASK_COUNT')];
      if (id === undefined || count === undefined) return undefined;
      // Arrays begin and step as their user likes: 0-7, or 10-80:10.
      const [first = 1, step = 1] = [whole(env, 'SLURM_ARRAY_TASK_MIN'), whole(env, 'SLURM_ARRAY_TASK_STEP')];
      return { index: (id - first) / Math.max(1, step) + 1, count };
    },
  },
  {
    name: 'Kubernetes',
    variables: 'JOB_COMPLETION_INDEX and SHARDS or JOB_COMPLETIONS',
    read: (env) => fromZero(whole(env, 'JOB_COMPLETION_INDEX'), whole(env, 'SHARDS') ?? whole(env, 'JOB_COMPLETIONS')),
  },
  {
    name: 'AWS Batch',
    variables: 'AWS_BATCH_JOB_ARRAY_INDEX and AWS_BATCH_JOB_ARRAY_SIZE',
    read: (env) => fromZero(whole(env, 'AWS_BATCH_JOB_ARRAY_INDEX'), whole(env, 'AWS_BATCH_JOB_ARRAY_SIZE')),
  },
  {
    name: 'plain variables',
    variables: 'SHARD, from 1 on, and SHARDS',
    read: (env) => {
      const [index, count] = [whole(env, 'SHARD'), whole(env, 'SHARDS')];
      return index === undefined || count === undefined ? undefined : { index, count };
    },
  },
];

/**
 * Reads `3/8`, the third of eight parts, or `auto`, which is what the engine says that started this command: a Slurm array, an indexed job of Kubernetes,
 * an array of AWS Batch, or plain `SHARD` and `SHARDS`; the first of them that is complete.
 * @throws UserError `bad-arguments`.
 */
export function parseShard(text: string, env: Environment = process.env): Shard {
  if (text === 'auto') return shardOfEngine(env);
  const [, index, count] = /^(\d{1,8})\/(\d{1,8})$/.exec(text) ?? [];
  if (index === undefined || count === undefined)
    throw new UserError(
      'bad-arguments',
      `expected a shard such as 3/8, the third of eight, or auto, got \`${text}\` (‹shard›)`,
    );
  return checked({ index: Number(index), count: Number(count) }, text);
}

/** A shard as it is written: `3/8`. */
export const showShard = ({ index, count }: Shard): string => `${index}/${count}`;

function shardOfEngine(env: Environment): Shard {
  for (const { name, variables, read } of ENGINES) {
    const found = read(env);
    if (found) return checked({ ...found, readFrom: `${name} (${variables})` }, `${found.index}/${found.count}`);
  }
  throw new UserError(
    'bad-arguments',
    `‹shard› auto finds none of what tells it which part this is: ${ENGINES.map(({ name, variables }) => `${variables} (${name})`).join('; ')}; name the part, such as 3/8`,
  );
}

function checked(shard: Shard, text: string): Shard {
  const { index, count, readFrom } = shard;
  const from = readFrom === undefined ? '' : `, read from ${readFrom}`;
  if (!Number.isSafeInteger(count) || count < 1 || count > MOST)
    throw new UserError('bad-arguments', `expected from 1 to ${MOST} shards, got \`${text}\`${from} (‹shard›)`);
  if (!Number.isSafeInteger(index) || index < 1 || index > count)
    throw new UserError('bad-arguments', `expected a shard from 1 to ${count}, got \`${text}\`${from} (‹shard›)`);
  return shard;
}

function fromZero(
  index: number | undefined,
  count: number | undefined,
): { readonly index: number; readonly count: number } | undefined {
  return index === undefined || count === undefined ? undefined : { index: index + 1, count };
}

/** A variable that holds a whole number; undefined for one that is not set, or holds anything else. */
function whole(env: Environment, name: string): number | undefined {
  const text = env[name] ?? '';
  return /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}
