import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from '../../src/random.js';
import type { Bits } from './bits.js';
import { type KillCase, otherBits } from './cases.js';
import { type Ending, type Running, send, start } from './command.js';
import { familyOf, Hindrance, type Member } from './family.js';
import { leftoversIn, makeOld, makePlace, type Place } from './place.js';
import { damagedIn } from './whole.js';

/** In what ways a command is ended, and the exit codes that it may then have; 0 too, where it had just finished. */
export const WAYS = {
  /** SIGINT to the process alone, or, in every other try, to its whole group, as a terminal sends Ctrl-C. */
  int: [130],
  term: [143],
  kill: [137],
  /** A second signal before the first has ended it. */
  twice: [130, 143],
  /** `--time-limit`. */
  limit: [0],
} as const;
export type Way = keyof typeof WAYS;
export const ways = Object.keys(WAYS) as Way[];

/** How `--policy auto` refuses a limit in which nothing can be trained. */
const REFUSED_LIMIT = /^ort-tl: no policy stays inside the limits/m;
/** How long a command may take to end, beside what {@link Hindrance} excuses. */
const LONGEST_MS = 5000;
/** How long a process of ort-tl may outlive the one that was started, and that no longer waits for it. */
const LONGEST_ALONE_MS = 2500;
/** After so long it is not waited for any longer. */
const PATIENCE_MS = 60_000;
/** The longest pause before a second signal. */
const SECOND_MS = 300;
const LOOK_EVERY_MS = 50;
/** How often a try is made again that had finished before its moment came. */
const MOST_REDONE = 3;
/** Commands that are run one after another until a case is finished. */
const MOST_RUNS = 4;
/** What a bug, or an error that nobody foresaw, prints. */
const BROKEN =
  /^\s+at .+:\d+:\d+|something broke that should not|Unhandled|node:internal|\bat async\b|Segmentation|core dumped/m;

export interface Fault {
  readonly case: string;
  readonly way: Way;
  readonly index: number;
  /** After the start, in milliseconds. */
  readonly moment: number;
  readonly what: readonly string[];
  readonly words: readonly string[];
  /** The end of what the interrupted command printed. */
  readonly output: string;
}

/** What the tries of a case, ended in one way, gave. */
export interface Row {
  readonly case: string;
  readonly way: Way;
  tried: number;
  /** Those of them that had finished before their moment came, and were tried again. */
  finished: number;
  inTime: number;
  slowestMs: number;
  orphans: number;
  leftovers: number;
  damaged: number;
  otherBits: number;
  faults: number;
}

/** Milliseconds. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

export interface KillTestOptions {
  readonly cases: readonly KillCase[];
  readonly ways: readonly Way[];
  readonly times: number;
  /** The first try's number: moments hang on the seed and on it. */
  readonly first?: number;
  readonly seed: number;
  /** Between which milliseconds after the start all moments lie, in place of any of an unbroken command's. */
  readonly at?: Span;
  /** Tries that run at once; default 1. */
  readonly lanes?: number;
  /** Folder for the tries. */
  readonly root: string;
  /** Keeps the folders of tries that have faults. */
  readonly keep?: boolean;
  readonly onRow?: (row: Row) => void;
  readonly onFault?: (fault: Fault) => void;
  readonly onReference?: (killCase: KillCase, ms: number) => void;
}

export interface KillReport {
  readonly rows: readonly Row[];
  readonly faults: readonly Fault[];
}

/** Ends every case in every way at random moments, and looks at what is left and at what it then comes to. */
export async function killTest(options: KillTestOptions): Promise<KillReport> {
  const rows: Row[] = [];
  const faults: Fault[] = [];
  for (const killCase of options.cases) {
    const { rows: more, faults: found } = await testCase(killCase, options);
    rows.push(...more);
    faults.push(...found);
  }
  return { rows, faults };
}

async function testCase(killCase: KillCase, options: KillTestOptions): Promise<KillReport> {
  const { lanes = 1, first = 0, times, seed, at } = options;
  const references = new References(killCase, options.root);
  // Of the latest command that ended by itself: a machine that others use is not always as fast.
  let ms = await references.measure(lanes);
  options.onReference?.(killCase, ms);
  const rows = options.ways
    .filter((way) => way !== 'limit' || killCase.takesTimeLimit)
    .map((way): Row => ({
      ...{ case: killCase.name, way, tried: 0, finished: 0, inTime: 0, slowestMs: 0 },
      ...{ orphans: 0, leftovers: 0, damaged: 0, otherBits: 0, faults: 0 },
    }));
  const faults: Fault[] = [];
  const tries = rows.flatMap((row) => Array.from({ length: times }, (_, index) => ({ row, index: first + index })));
  const queue = tries.values();
  const left = new Map(rows.map((row) => [row, times]));
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      for (const { row, index } of queue) {
        const share = new Random(seed).fork(`${killCase.name} ${row.way} ${index}`).next();
        for (let redone = 0; ; redone++) {
          const attempt = new Try(
            killCase,
            row.way,
            index,
            momentIn(at ?? { from: 0, to: ms }, share),
            row,
            references,
            options,
          );
          const fault = await attempt.run();
          if (fault) {
            faults.push(fault);
            options.onFault?.(fault);
          }
          if (attempt.finishedAfterMs === undefined) break;
          ms = attempt.finishedAfterMs;
          if (redone === MOST_REDONE || at !== undefined) break;
        }
        const more = (left.get(row) ?? 0) - 1;
        left.set(row, more);
        if (more === 0) options.onRow?.(row);
      }
    }),
  );
  return { rows, faults };
}

const momentIn = ({ from, to }: Span, share: number): number => from + share * (to - from);

interface Reference {
  readonly bits: Bits;
  readonly ms: number;
}

/** What commands come to that nobody interrupts. */
class References {
  private readonly known = new Map<string, Promise<Reference>>();

  constructor(
    private readonly killCase: KillCase,
    private readonly root: string,
  ) {}

  /**
   * Milliseconds that the case's command takes where as many as there are `lanes` run at once.
   * @throws Error as {@link of} does, or when they do not all come to the same.
   */
  async measure(lanes: number): Promise<number> {
    const { killCase } = this;
    const [first, ...others] = Array.from({ length: lanes }, (_, lane) => this.make(killCase.words, lane));
    if (!first) throw new Error('expected at least one lane');
    this.known.set(killCase.words.join(' '), first);
    const all = await Promise.all([first, ...others]);
    const { bits } = await first;
    const other = killCase.unbroken ? [] : all.flatMap((each) => otherBits(each.bits, bits));
    if (other.length > 0) throw new Error(`${killCase.name}, unbroken, differs from itself: ${other.join('; ')}`);
    return Math.max(...all.map(({ ms }) => ms));
  }

  /** @throws Error when the command fails, or when there is nothing to go on with but it is not finished. */
  of(words: readonly string[]): Promise<Reference> {
    const key = words.join(' ');
    const made = this.known.get(key) ?? this.make(words, this.known.size);
    this.known.set(key, made);
    return made;
  }

  private async make(words: readonly string[], number: number): Promise<Reference> {
    const place = makePlace(join(this.root, `${this.killCase.name}-reference-${number}`));
    this.killCase.before?.(place);
    const mark = `${process.pid}-${this.killCase.name}-reference-${number}`;
    let ms = 0;
    let stdout = '';
    for (let next: readonly string[] | undefined = words; next;) {
      const running = start(next, place, mark, this.killCase.env);
      const { code, at } = await running.ended;
      if (ms === 0) ms = at - running.startedAt;
      const output = running.output();
      if (code !== 0) throw new Error(`ort-tl ${next.join(' ')} ended with ${code} by itself: ${output.stderr}`);
      stdout = output.stdout;
      next = this.killCase.next(place, code);
    }
    const reference = { bits: this.killCase.bits(place, stdout), ms };
    rmSync(place.root, { recursive: true, force: true });
    return reference;
  }
}

const isOurs = ({ command }: Member) => command.startsWith(process.execPath);

/** One interrupted command, and all that follows from it. */
class Try {
  private readonly place: Place;
  private readonly mark: string;
  private readonly what: string[] = [];
  private readonly random: Random;
  /** What the command took that had finished before its moment came. */
  finishedAfterMs: number | undefined;

  constructor(
    private readonly killCase: KillCase,
    private readonly way: Way,
    private readonly index: number,
    private readonly moment: number,
    private readonly row: Row,
    private readonly references: References,
    private readonly options: KillTestOptions,
  ) {
    this.place = makePlace(join(options.root, `${killCase.name}-${way}-${index}`));
    this.mark = `${process.pid}-${killCase.name}-${way}-${index}`;
    this.random = new Random(options.seed).fork(`signals ${killCase.name} ${way} ${index}`);
  }

  async run(): Promise<Fault | undefined> {
    const { killCase, place, row, way, moment, index } = this;
    killCase.before?.(place);
    // A limit of nothing is refused.
    const limit = `${(Math.max(1, moment) / 1000).toFixed(3)}s`;
    const words = way === 'limit' ? [...killCase.words, '--time-limit', limit] : killCase.words;
    row.tried++;
    const running = start(words, place, this.mark, killCase.env);
    const ending = await this.end(running);
    const { stdout, stderr } = running.output();
    const output = [stdout, stderr]
      .flatMap((text) => text.trimEnd().split('\n').slice(-6))
      .join('\n')
      .trim();
    if (ending) {
      this.checkEnding(ending, stderr);
      // What SIGKILL has left, the next command is to clear away, and so what a second signal has left where threads write.
      if (way !== 'kill') this.checkLeftovers('', way === 'twice' ? { ...place, cache: '', temporary: '' } : place);
      if (way === 'kill' || way === 'twice') makeOld(place);
      const damaged = [...damagedIn(place.work), ...(killCase.faults?.(place, stdout) ?? [])];
      if (damaged.length > 0) row.damaged++;
      this.what.push(...damaged);
      await this.goOn(ending.code, stdout);
    }
    if (this.what.length > 0) row.faults++;
    if (this.what.length === 0 || !this.options.keep) rmSync(place.root, { recursive: true, force: true });
    return this.what.length === 0
      ? undefined
      : { case: killCase.name, way, index, moment, what: this.what, words, output };
  }

  /** Sends what the way says at its moment, and waits until no process of the command lives; undefined where that is never. */
  private async end(running: Running): Promise<Ending | undefined> {
    const { way, moment, row } = this;
    await Promise.race([running.ended, sleep(moment)]);
    if (way !== 'limit') {
      const { at } = running.ending() ?? {};
      if (at === undefined) await this.signal(running);
      else {
        this.finishedAfterMs = at - running.startedAt;
        row.finished++;
      }
    }
    const from = Math.max(performance.now(), running.startedAt + moment);
    const hindrance = new Hindrance(this.mark);
    let members: Member[] = [];
    // When a process of the command was last seen, but for the first, which tells its own end.
    let [seenAt, oursSeenAt] = [-Infinity, -Infinity];
    do {
      await Promise.race([sleep(LOOK_EVERY_MS), ...(running.ending() ? [] : [running.ended])]);
      const now = performance.now();
      members = hindrance.look();
      if (!running.ending()) continue;
      if (members.length > 0) seenAt = now;
      if (members.some(isOurs)) oursSeenAt = now;
    } while ((!running.ending() || members.length > 0) && performance.now() - from < PATIENCE_MS);
    const ending = running.ending();
    const excusedMs = Math.round(hindrance.ms);
    const tookMs = Math.round(Math.max(ending?.at ?? performance.now(), seenAt) - from);
    const fairMs = Math.max(0, tookMs - excusedMs);
    row.slowestMs = Math.max(row.slowestMs, fairMs);
    if (fairMs <= LONGEST_MS) row.inTime++;
    else this.what.push(`took ${tookMs} ms to end, in ${excusedMs} ms of which others kept it from running`);
    const aloneMs = Math.round(oursSeenAt - (ending?.at ?? oursSeenAt)) - excusedMs;
    if (aloneMs > LONGEST_ALONE_MS && members.length === 0) {
      row.orphans++;
      this.what.push(`a process that it had started lived ${aloneMs} ms longer`);
    }
    this.endOrphans(members, ending !== undefined);
    return ending;
  }

  private async signal({ pid }: Running): Promise<void> {
    const { random } = this;
    switch (this.way) {
      case 'int':
        send(this.index % 2 === 0 ? pid : -pid, 'SIGINT');
        break;
      case 'term':
        send(pid, 'SIGTERM');
        break;
      case 'kill':
        send(pid, 'SIGKILL');
        break;
      case 'twice': {
        const one = (): NodeJS.Signals => random.pick(['SIGINT', 'SIGTERM']);
        const to = random.pick([pid, -pid]);
        send(to, one());
        await sleep(random.between(0, SECOND_MS));
        send(to, one());
        break;
      }
      case 'limit':
    }
  }

  /** Ends what should have ended by itself: it was started here. */
  private endOrphans(members: readonly Member[], isOrphaned: boolean): void {
    if (members.length === 0) return;
    if (isOrphaned) this.row.orphans++;
    const commands = members.map(({ command }) => command.slice(0, 120)).join('; ');
    this.what.push(`${isOrphaned ? 'left behind' : 'still runs'}: ${commands}`);
    for (const { pid } of members) send(pid, 'SIGKILL');
  }

  private checkEnding({ code }: Ending, stderr: string): void {
    if (this.way === 'limit' && code === 2 && REFUSED_LIMIT.test(stderr)) return;
    const codes: readonly number[] = WAYS[this.way];
    if (code !== 0 && !codes.includes(code)) this.what.push(`exit code ${code}, not ${codes.join(' or ')}`);
    if (BROKEN.test(stderr)) this.what.push('what it says is of a bug');
    const lines = stderr.split('\n').filter((line) => line.startsWith('ort-tl: '));
    if (lines.length > 1) this.what.push(`${lines.length} errors in place of one`);
  }

  private checkLeftovers(when: string, place = this.place): void {
    const leftovers = leftoversIn(place);
    if (leftovers.length === 0) return;
    this.row.leftovers++;
    this.what.push(`left behind${when}: ${leftovers.slice(0, 5).join(' ')}${leftovers.length > 5 ? ' …' : ''}`);
  }

  /** Goes on until the case is finished, and compares. */
  private async goOn(code: number, stdout: string): Promise<void> {
    const { killCase, place } = this;
    let last = stdout;
    let next = killCase.next(place, code);
    const hasMore = next !== undefined;
    const beginsAnew = next !== undefined && !next.includes('--resume');
    if (beginsAnew && this.index % (killCase.beginsAnewEvery ?? 1) !== 0) return;
    for (let runs = 0; next; runs++) {
      if (runs === MOST_RUNS) {
        this.what.push(`was not finished after ${runs} more runs`);
        return;
      }
      const running = start(next, place, this.mark, killCase.env);
      const ending = await running.ended;
      const output = running.output();
      if (ending.code !== 0) {
        this.what.push(`ort-tl ${next.join(' ')} then ended with ${ending.code}: ${output.stderr.trim().slice(-500)}`);
        return;
      }
      last = output.stdout;
      next = killCase.next(place, 0);
    }
    if (hasMore) this.checkLeftovers(', after the next command too');
    this.endOrphans(familyOf(this.mark), true);
    const unbroken = killCase.unbroken?.(place) ?? killCase.words;
    const reference = await this.references.of(unbroken);
    const other = otherBits(killCase.bits(place, last), reference.bits);
    if (other.length > 0) this.row.otherBits++;
    this.what.push(...other);
  }
}
