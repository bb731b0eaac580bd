import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fakeLinux } from '../fakeLinux.js';
import { built, runs, until } from '../processes.js';

const fresh = () => mkdtempSync(join(tmpdir(), 'ort-tl-'));

/** The root of a file system whose Linux lets this process take so much, of which so much is taken. */
const rootWith = (bytes: number, taken: number) =>
  fakeLinux({
    'proc/self/cgroup': '0::/box\n',
    'sys/fs/cgroup/box/memory.max': `${bytes}\n`,
    'sys/fs/cgroup/box/memory.stat': statisticsOf(taken),
  });

const statisticsOf = (taken: number) => `anon ${taken}\nfile 5000000000\n`;

const take = (root: string, bytes: number) =>
  writeFileSync(join(root, 'sys/fs/cgroup/box/memory.stat'), statisticsOf(bytes));

interface Started {
  readonly process: ChildProcess;
  /** What it has written so far. */
  readonly out: () => string;
  readonly err: () => string;
  /** The number that the command, not who waits for it, has written first. */
  readonly pid: () => number;
  readonly ended: Promise<[number | null, NodeJS.Signals | null]>;
}

/** Runs `command`, a script, under supervision where there is `root` for a file system; it says its process's number first. */
function start(
  command: string,
  {
    root = rootWith(200e6, 50e6),
    verb = 'train',
    env = {},
  }: { root?: string; verb?: string; env?: NodeJS.ProcessEnv } = {},
): Started {
  const file = join(fresh(), 'command.mjs');
  writeFileSync(
    file,
    `import { supervise } from ${built('cli/supervision')};
    import { watchLifeline } from ${built('lifeline')};
    const tell = (error) => { console.error(error.code + ': ' + error.message); process.exit(1); };
    await supervise(tell, process.argv[2], ${JSON.stringify(root)});
    watchLifeline(() => process.exit(9));
    console.log(process.pid);
    ${command}`,
  );
  const child = spawn(process.execPath, [file, verb], { env: { ...process.env, ...env } });
  let [out, err] = ['', ''];
  child.stdout.on('data', (text: Buffer) => (out += text.toString()));
  child.stderr.on('data', (text: Buffer) => (err += text.toString()));
  const ended = new Promise<[number | null, NodeJS.Signals | null]>((done) => {
    child.once('close', (...how) => {
      done(how);
    });
  });
  return { process: child, out: () => out, err: () => err, pid: () => Number(/^\d+/.exec(out)?.[0] ?? 0), ended };
}

const stays = 'setInterval(() => undefined, 1000);';

describe.skipIf(process.platform !== 'linux')('a command that may take little memory', () => {
  it('reads, writes and exits as it would without supervision', async () => {
    const command = start(
      `
      for await (const line of process.stdin) process.stdout.write('read ' + line);
      console.error([process.argv[2], process.env.ORT_TL_SUPERVISED, process.env.OWN].join());
      process.exitCode = 41;`,
      { env: { OWN: 'mine' } },
    );
    command.process.stdin?.end('photos\n');
    expect(await command.ended).toEqual([41, null]);
    expect(command.pid()).not.toBe(command.process.pid);
    expect(command.out()).toContain('read photos');
    expect(command.err()).toBe('train,,mine\n');
  });

  it('is the first that the kernel ends', async () => {
    const command = start(`console.log((await import('node:fs')).readFileSync('/proc/self/oom_score_adj', 'utf8'));`);
    await command.ended;
    expect(command.out().split('\n')[1]).toBe('1000');
    expect(readFileSync('/proc/self/oom_score_adj', 'utf8').trim()).not.toBe('1000');
  });

  it('ends with one line where most of that is taken, busy as it is, and what it has started too', async () => {
    const root = rootWith(200e6, 50e6);
    const command = start(
      `import { spawn } from 'node:child_process';
      console.log(spawn('sleep', ['1000'], { stdio: 'ignore' }).pid);
      setTimeout(() => { for (;;); }, 100);`,
      { root },
    );
    await until(() => command.out().split('\n').length > 2);
    take(root, 195e6);
    expect(await command.ended).toEqual([1, null]);
    expect(command.err()).toMatch(/^out-of-memory: .*195 MB of the 200 MB.*\n$/);
    const started = Number(command.out().split('\n')[1]);
    await until(() => !runs(command.pid()) && !runs(started));
  });

  it.each(['train', 'bench'])('ends with one line where it is killed: %s', async (verb) => {
    const command = start(stays, { verb });
    await until(() => command.pid() > 0);
    process.kill(command.pid(), 'SIGKILL');
    expect(await command.ended).toEqual([1, null]);
    expect(command.err()).toMatch(/^out-of-memory: the command was killed, probably for lack of memory.*200 MB.*\n$/);
  });

  it('goes on where it is a suite, whose trainings look at the memory by themselves', async () => {
    const root = rootWith(200e6, 199e6);
    const command = start(`setTimeout(() => process.exit(5), 500);`, { root, verb: 'bench' });
    expect(await command.ended).toEqual([5, null]);
  });

  it('has each signal once, and ends as it would by itself', async () => {
    const command = start(`
      let count = 0;
      process.on('SIGINT', () => { console.log('signal ' + ++count); setTimeout(() => process.exit(130), 300); });
      console.log('listens');
      ${stays}`);
    await until(() => command.out().includes('listens'));
    command.process.kill('SIGINT');
    expect(await command.ended).toEqual([130, null]);
    expect(command.out().match(/signal \d/g)).toEqual(['signal 1']);
  });

  it.each(['SIGTERM', 'SIGINT', 'SIGABRT'] as const)('ends by the signal that has ended it: %s', async (name) => {
    const command = start(stays);
    await until(() => command.pid() > 0);
    process.kill(command.pid(), name);
    expect(await command.ended).toEqual([null, name]);
    expect(command.err()).toBe('');
  });

  it('ends when who waits for it is killed', async () => {
    const command = start(stays);
    await until(() => command.pid() > 0);
    command.process.kill('SIGKILL');
    expect(await command.ended).toEqual([null, 'SIGKILL']);
    await until(() => !runs(command.pid()));
  });

  it('stops and goes on with who waits for it', async () => {
    const command = start(stays);
    await until(() => command.pid() > 0);
    const stateOf = (pid: number | undefined) => /\) (\S)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1];
    command.process.kill('SIGTSTP');
    await until(() => stateOf(command.process.pid) === 'T' && stateOf(command.pid()) === 'T');
    command.process.kill('SIGCONT');
    await until(() => stateOf(command.process.pid) !== 'T' && stateOf(command.pid()) !== 'T');
    command.process.kill('SIGTERM');
    expect(await command.ended).toEqual([null, 'SIGTERM']);
  });

  it.each([
    ['much may be taken', { root: rootWith(2.5e9, 50e6) }],
    ['a suite has started it', { env: { ORT_TL_LIFELINE: '77' } }],
    ["it runs another's command", { verb: 'measure', root: rootWith(200e6, 199e6) }],
    ['nothing limits it', { root: fresh() }],
  ])('runs in the process that was started where %s', async (_, options) => {
    const command = start('', options);
    expect(await command.ended).toEqual([0, null]);
    expect(command.pid()).toBe(command.process.pid);
  });

  it('ends by itself, with one line, where it runs in the process that was started', async () => {
    const root = rootWith(2.5e9, 2.45e9);
    const command = start(stays, { root });
    expect(await command.ended).toEqual([1, null]);
    expect(command.err()).toMatch(/^out-of-memory: .*2450 MB of the 2500 MB.*\n$/);
  });
});
