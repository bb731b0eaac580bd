import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { messageOf } from '../errors.js';
import { fileErrorCode } from '../files.js';
import type { CounterReading } from './rapl.js';

/** A GPU whose energy can be told. */
export interface Gpu {
  /** `gpu-0`, by nvidia-smi's index. */
  readonly name: string;
  readonly product: string;
}

export type NvidiaAccess =
  | {
      readonly kind: 'readable';
      readonly gpus: readonly Gpu[];
      /** The property that counts energy since the driver was loaded; undefined where the driver tells power alone. */
      readonly counter: string | undefined;
    }
  | { readonly kind: 'absent'; readonly reason: string };

/** What nvidia-smi says of each GPU: a quantity with its unit, in joules or watts, or nothing where the GPU does not tell. */
type Values = ReadonlyMap<string, number>;

const SCALES: Readonly<Record<string, number>> = { mJ: 1e-3, J: 1, kJ: 1e3, mW: 1e-3, W: 1 };

/** The GPUs that nvidia-smi, looked for on the path, tells the energy or the power of. */
export async function findNvidia(): Promise<NvidiaAccess> {
  let help: string;
  let list: string;
  try {
    [help, list] = [
      await nvidiaSmi('--help-query-gpu'),
      await nvidiaSmi('--query-gpu=index,name', '--format=csv,noheader'),
    ];
  } catch (thrown) {
    const reason =
      fileErrorCode(thrown) === 'ENOENT'
        ? 'there is no nvidia-smi on the path, which comes with the driver of an NVIDIA GPU'
        : `nvidia-smi fails: ${messageOf(thrown)}`;
    return { kind: 'absent', reason };
  }
  // Drivers differ in whether, and under which name, they show NVML's counter: what is listed is tried, and its unit tells.
  const named = [...help.matchAll(/"([\w.]*energy[\w.]*)"/g)].flatMap(([, name]) => name ?? []);
  let counter: string | undefined;
  let told: Values = new Map();
  for (const name of named) {
    told = await query(name, 'J').catch(() => new Map<string, number>());
    counter = told.size > 0 ? name : undefined;
    if (counter !== undefined) break;
  }
  if (counter === undefined) told = await query(POWER, 'W').catch(() => new Map<string, number>());
  const gpus = rowsOf(list)
    .map(([index = '', product = '']) => ({ name: `gpu-${index}`, product }))
    .filter(({ name }) => told.has(name));
  if (gpus.length > 0) return { kind: 'readable', gpus, counter };
  return { kind: 'absent', reason: 'nvidia-smi tells neither energy nor power of any GPU here' };
}

const POWER = 'power.draw';
/** Power is the mean over a second on GPUs since Ampere (NVML, nvmlDeviceGetPowerUsage): more samples would tell no more. */
const SAMPLE_EVERY_MS = 1000;

/** Energy of GPUs: the difference of their counters, or, of those that have none, samples of their power added up. */
export class NvidiaMeter {
  private before: { readonly at: number; readonly values: Values } | undefined;
  /** Of the GPUs that were read at least twice. */
  private totals = new Map<string, number>();
  private notes = new Set<string>();
  private timer: NodeJS.Timeout | undefined;
  private sampling: Promise<void> = Promise.resolve();

  constructor(
    readonly gpus: readonly Gpu[],
    private readonly counter: string | undefined,
  ) {}

  async start(): Promise<void> {
    this.before = undefined;
    this.totals = new Map();
    this.notes = new Set(
      this.counter === undefined
        ? [`${this.gpus.map(({ name }) => name).join(', ')}: power samples, one a second, added up`]
        : [],
    );
    await this.look();
    if (this.counter === undefined) this.plan();
  }

  async stop(): Promise<CounterReading> {
    clearTimeout(this.timer);
    await this.sampling;
    clearTimeout(this.timer);
    await this.look();
    return {
      joules: this.totals,
      totalJ: [...this.totals.values()].reduce((sum, joules) => sum + joules, 0),
      notes: [...this.notes],
    };
  }

  private plan(): void {
    this.timer = setTimeout(() => {
      this.sampling = this.look().then(() => {
        this.plan();
      });
    }, SAMPLE_EVERY_MS).unref();
  }

  private async look(): Promise<void> {
    const asked = performance.now();
    let values: Values;
    try {
      values = await (this.counter === undefined ? query(POWER, 'W') : query(this.counter, 'J'));
    } catch (thrown) {
      this.notes.add(`nvidia-smi failed while it was asked: ${messageOf(thrown)}`);
      return;
    }
    const at = (asked + performance.now()) / 2;
    for (const { name } of this.gpus) {
      const now = values.get(name);
      const then = this.before?.values.get(name);
      if (now === undefined) this.notes.add(`${name} did not tell its energy all the time`);
      if (now === undefined || then === undefined || this.before === undefined) continue;
      let joules = this.counter === undefined ? (((now + then) / 2) * (at - this.before.at)) / 1000 : now - then;
      if (joules < 0) {
        this.notes.add(`the counter of ${name} began anew while it was measured: the driver was loaded again`);
        joules = now;
      }
      this.totals.set(name, (this.totals.get(name) ?? 0) + joules);
    }
    this.before = { at, values };
  }
}

/** What every GPU says to `property`, in `unit`; GPUs that say something else, such as `[N/A]`, are left out. */
async function query(property: string, unit: 'J' | 'W'): Promise<Values> {
  const values = new Map<string, number>();
  for (const [index = '', text = ''] of rowsOf(
    await nvidiaSmi(`--query-gpu=index,${property}`, '--format=csv,noheader'),
  )) {
    const [, amount, suffix = ''] = /^(\d+(?:\.\d+)?) (\w+)$/.exec(text) ?? [];
    const scale = SCALES[suffix];
    if (scale !== undefined && suffix.endsWith(unit)) values.set(`gpu-${index}`, Number(amount) * scale);
  }
  return values;
}

const rowsOf = (csv: string): string[][] =>
  csv
    .trim()
    .split('\n')
    .map((line) => line.split(',').map((cell) => cell.trim()));

const run = promisify(execFile);

/** What `nvidia-smi` prints. @throws Error with what it said where it exits with another code than 0. */
async function nvidiaSmi(...args: string[]): Promise<string> {
  try {
    return (await run('nvidia-smi', args, { timeout: 30_000, maxBuffer: 1 << 24 })).stdout;
  } catch (thrown) {
    if (!(thrown instanceof Error) || !('stdout' in thrown) || !('stderr' in thrown)) throw thrown;
    const said = `${String(thrown.stderr)}${String(thrown.stdout)}`.trim();
    throw said === '' ? thrown : new Error(said.split('\n').at(-1), { cause: thrown });
  }
}
