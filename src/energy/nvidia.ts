import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { messageOf } from '../errors.js';
import { fileErrorCode } from '../files.js';
import { onExit } from '../onExit.js';
import { PowerSum } from './powerSum.js';
import type { CounterReading } from './rapl.js';

/** A GPU whose energy can be told. */
export interface Gpu {
  /** `gpu-0`, by nvidia-smi's index. */
  readonly name: string;
  readonly product: string;
}

/** What nvidia-smi is asked for: a property that counts energy since the driver was loaded, or one that tells power. */
export type NvidiaProperty =
  | { readonly unit: 'J'; readonly name: string }
  | {
      readonly unit: 'W';
      readonly name: string;
      /** How far what it tells lies back: half of the time that it is the mean of. */
      readonly lagMs: number;
    };

export type NvidiaAccess =
  | { readonly kind: 'readable'; readonly gpus: readonly Gpu[]; readonly property: NvidiaProperty }
  | { readonly kind: 'absent'; readonly reason: string };

/** What nvidia-smi says of each GPU: a quantity with its unit, in joules or watts, or nothing where the GPU does not tell. */
type Values = ReadonlyMap<string, number>;

const SCALES: Readonly<Record<string, number>> = { mJ: 1e-3, J: 1, kJ: 1e3, mW: 1e-3, W: 1 };

/**
 * Power, best first (descriptions of `nvidia-smi --help-query-gpu`). The mean of the last second misses nothing, which momentary
 * values do where a GPU works in bursts: on an H100 by 4 to 15 % (bench/results/gpu.md). GPUs before Ampere have no mean.
 */
const POWER: readonly NvidiaProperty[] = [
  { unit: 'W', name: 'power.draw.average', lagMs: 500 },
  { unit: 'W', name: 'power.draw.instant', lagMs: 0 },
  { unit: 'W', name: 'power.draw', lagMs: 0 },
];
/** How often power is asked for. Drivers bring their values up to date as often. */
const SAMPLE_EVERY_MS = 100;
/** How long nvidia-smi may need for a sample: after it was started, and after the last that is needed is due. */
const PATIENCE_MS = 5000;

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
  // Driver 580 shows NVML's counter under no name; where one is listed, it is tried, and its unit tells.
  const counters = [...help.matchAll(/"([\w.]*energy[\w.]*)"/g)].flatMap(([, name]): NvidiaProperty[] =>
    name === undefined ? [] : [{ unit: 'J', name }],
  );
  for (const property of [...counters, ...POWER]) {
    const told = await query(property).catch(() => new Map<string, number>());
    const gpus = rowsOf(list)
      .map(([index = '', product = '']) => ({ name: `gpu-${index}`, product }))
      .filter(({ name }) => told.has(name));
    if (gpus.length > 0) return { kind: 'readable', gpus, property };
  }
  return { kind: 'absent', reason: 'nvidia-smi tells neither energy nor power of any GPU here' };
}

/** Energy of GPUs between a start and a stop. */
export interface NvidiaMeter {
  start(): Promise<void>;
  stop(): Promise<CounterReading>;
  /** Ends what was started. */
  close(): void;
}

export const nvidiaMeter = (gpus: readonly Gpu[], property: NvidiaProperty): NvidiaMeter =>
  property.unit === 'J' ? new CounterMeter(gpus, property) : new PowerMeter(gpus, property);

/** The difference of GPUs' counters. */
class CounterMeter implements NvidiaMeter {
  private before: Values = new Map();
  private notes = new Set<string>();

  constructor(
    private readonly gpus: readonly Gpu[],
    private readonly property: NvidiaProperty,
  ) {}

  async start(): Promise<void> {
    this.notes = new Set();
    this.before = await this.look();
  }

  async stop(): Promise<CounterReading> {
    const after = await this.look();
    const joules = new Map<string, number>();
    for (const { name } of this.gpus) {
      const [now, then] = [after.get(name), this.before.get(name)];
      if (now === undefined || then === undefined) {
        this.notes.add(`${name} did not tell its energy all the time`);
        continue;
      }
      if (now < then)
        this.notes.add(`the counter of ${name} began anew while it was measured: the driver was loaded again`);
      joules.set(name, now < then ? now : now - then);
    }
    return readingOf(joules, this.notes);
  }

  close(): void {
    // Nothing runs between the two looks.
  }

  private async look(): Promise<Values> {
    try {
      return await query(this.property);
    } catch (thrown) {
      this.notes.add(`nvidia-smi failed while it was asked: ${messageOf(thrown)}`);
      return new Map();
    }
  }
}

/** Samples of GPUs' power added up, which one nvidia-smi prints all the time. */
class PowerMeter implements NvidiaMeter {
  private child: ChildProcess | undefined;
  private sums = new Map<string, PowerSum>();
  private notes = new Set<string>();
  /** When what is measured was told, or will be, by `performance.now()`. */
  private fromMs = Infinity;
  private untilMs = Infinity;
  private sampled: () => void = () => undefined;
  /** To be called when no process is left to be ended with this one. */
  private forget: () => void = () => undefined;

  constructor(
    private readonly gpus: readonly Gpu[],
    private readonly property: NvidiaProperty & { readonly unit: 'W' },
  ) {}

  async start(): Promise<void> {
    this.close();
    this.sums = new Map();
    this.notes = new Set([`${this.gpus.map(({ name }) => name).join(', ')}: power samples, ten a second, added up`]);
    [this.fromMs, this.untilMs] = [Infinity, Infinity];
    const args = [`--query-gpu=index,${this.property.name}`, '--format=csv,noheader', `--loop-ms=${SAMPLE_EVERY_MS}`];
    const child = spawn('nvidia-smi', args, { stdio: ['ignore', 'pipe', 'ignore'] });
    this.child = child;
    this.forget = onExit(() => child.kill());
    const ended = (how: string) => {
      if (this.child !== child) return;
      this.notes.add(`nvidia-smi ended while it was asked: ${how}`);
      this.child = undefined;
      this.forget();
      this.sampled();
    };
    child.on('error', (error) => {
      ended(error.message);
    });
    child.on('exit', (code, signal) => {
      ended(signal ?? `exit code ${code}`);
    });
    createInterface({ input: child.stdout }).on('line', (line) => {
      for (const [name, watts] of valuesOf(line, 'W')) this.add(name, watts);
      this.sampled();
    });
    await this.waitFor(() => this.sums.size > 0);
    this.fromMs = performance.now() + this.property.lagMs;
  }

  async stop(): Promise<CounterReading> {
    this.untilMs = performance.now() + this.property.lagMs;
    await this.waitFor(() => [...this.sums.values()].every(({ lastMs }) => lastMs >= this.untilMs));
    this.close();
    const joules = new Map<string, number>();
    for (const { name } of this.gpus) {
      const sum = this.sums.get(name);
      if (sum?.joules !== undefined) joules.set(name, sum.joules);
      if (sum && sum.longestGapMs > 10 * SAMPLE_EVERY_MS)
        this.notes.add(`${name} did not tell its power for ${(sum.longestGapMs / 1000).toFixed(1)} s`);
      if (!sum || sum.lastMs < this.untilMs) this.notes.add(`${name} did not tell its power all the time`);
    }
    return readingOf(joules, this.notes);
  }

  close(): void {
    const { child } = this;
    this.child = undefined;
    child?.kill();
    this.forget();
    // Who still waits for a sample waits in vain.
    this.sampled();
  }

  private add(name: string, watts: number): void {
    const sum = this.sums.get(name) ?? new PowerSum();
    this.sums.set(name, sum);
    sum.add(performance.now(), watts, this.fromMs, this.untilMs);
  }

  /** Until `isReached` at a sample, nvidia-smi has ended, or it takes too long. */
  private async waitFor(isReached: () => boolean): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      timer = setTimeout(resolve, PATIENCE_MS);
      this.sampled = () => {
        if (!this.child || isReached()) resolve();
      };
      this.sampled();
    });
    clearTimeout(timer);
    this.sampled = () => undefined;
  }
}

const readingOf = (joules: ReadonlyMap<string, number>, notes: ReadonlySet<string>): CounterReading => ({
  joules,
  totalJ: [...joules.values()].reduce((sum, each) => sum + each, 0),
  notes: [...notes],
});

/** What every GPU says to a property; GPUs that say something else than a number with its unit, such as `[N/A]`, are left out. */
const query = async ({ name, unit }: NvidiaProperty): Promise<Values> =>
  valuesOf(await nvidiaSmi(`--query-gpu=index,${name}`, '--format=csv,noheader'), unit);

/** Reads lines such as `0, 74.25 W`: a GPU's number, and its value. */
function valuesOf(csv: string, unit: 'J' | 'W'): Values {
  const values = new Map<string, number>();
  for (const [index = '', text = ''] of rowsOf(csv)) {
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
