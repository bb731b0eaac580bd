import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { isLocked, lockFolder } from '../src/lock.js';
import { thisProcess } from '../src/processIdentity.js';
import { built, killed, startScript, until } from './processes.js';

const folder = () => mkdtempSync(join(tmpdir(), 'ort-tl-lock-'));
const LOCK = '.ort-tl.lock';
const holder = (other: object = {}) => ({
  ...thisProcess(),
  doing: 'training F1C0',
  since: '2026-01-02T03:04:05.678Z',
  token: 'abc',
  ...other,
});
const write = (at: string, content: object, name = LOCK) => {
  writeFileSync(join(at, name), JSON.stringify(content));
};
const age = (at: string, seconds: number) => {
  const time = Date.now() / 1000 - seconds;
  utimesSync(join(at, LOCK), time, time);
};
const take = (at: string) => lockFolder(at, 'training F1C1');
const locking = (at: string) => `
  import { lockFolder } from ${built('lock')};
  lockFolder(${JSON.stringify(at)}, 'training');
  console.log('locked');
  setInterval(() => undefined, 1000);`;

afterEach(() => vi.useRealTimers());

describe('the lock of a folder', () => {
  it('refuses a second holder, and names the first: process, machine, what it does, since when, and its file', () => {
    const at = folder();
    const lock = take(at);
    expect(() => take(at)).toThrow(
      expect.objectContaining({
        code: 'folder-in-use',
        message: expect.stringMatching(
          new RegExp(
            `^process ${process.pid} on ${hostname()} is training F1C1 in ${at} since 20\\d\\d-\\d\\d-\\d\\d [\\d:]{8} UTC; .*; its lock is ${join(at, LOCK)}$`,
          ),
        ) as string,
      }),
    );
    lock.release();
    take(at).release();
    expect(readdirSync(at)).toEqual([]);
  });

  it('makes the folder, and removes it again when nothing was put into it', () => {
    const at = folder();
    take(join(at, 'a', 'b')).release();
    expect(readdirSync(at)).toEqual([]);
    const lock = take(join(at, 'a', 'b'));
    writeFileSync(join(at, 'a', 'b', 'file'), '');
    lock.release();
    expect(readdirSync(join(at, 'a', 'b'))).toEqual(['file']);
  });

  it('is free as soon as its process is killed, and refused while that lives', async () => {
    const at = folder();
    const child = await startScript(locking(at));
    expect(() => take(at)).toThrow(`process ${child.pid} on`);
    await killed(child);
    take(at).release();
    expect(readdirSync(at)).toEqual([]);
  });

  it.skipIf(process.platform !== 'linux')(
    'is free when its process was killed and nobody has waited for it',
    async () => {
      const at = folder();
      // What becomes of the shell has a child that it knows nothing of.
      const script = `"$0" --input-type=module -e "$1" & echo $! > "$2"; exec sleep 1000`;
      const pidFile = join(folder(), 'pid');
      const shell = spawn('sh', ['-c', script, process.execPath, locking(at), pidFile], { stdio: 'ignore' });
      await until(() => isLocked(at) && readFileSync(join(at, '.ort-tl.lock'), 'utf8') !== '');
      const pid = Number(readFileSync(pidFile, 'utf8'));
      process.kill(pid, 'SIGKILL');
      await until(() => readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z '));
      take(at).release();
      await killed(shell);
    },
  );

  it('is released by the end of the process', async () => {
    const at = folder();
    const child = await startScript(`${locking(at)} process.exit(3);`);
    await until(() => child.exitCode !== null);
    expect(readdirSync(at)).toEqual([]);
  });

  it.skipIf(process.platform !== 'linux')('is free when another process has the number of its process now', () => {
    const at = folder();
    write(at, holder({ start: '1' }));
    take(at).release();
    write(at, holder());
    expect(() => take(at)).toThrow('process');
  });

  it.each([
    ['on another machine', { host: 'elsewhere', pid: 2 ** 22 + 1 }],
    ['in another container', { namespace: 'pid:[1]', pid: 2 ** 22 + 1 }],
    ['before the machine was started again, or on another of its name', { boot: 'other', pid: 2 ** 22 + 1 }],
  ])('of a process %s is free when it was not touched for more than a minute', (_, other) => {
    const at = folder();
    write(at, holder(other));
    age(at, 50);
    expect(() => take(at)).toThrow('is training F1C0');
    age(at, 70);
    take(at).release();
    expect(readdirSync(at)).toEqual([]);
  });

  it('is touched every few seconds', () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const at = folder();
    const lock = take(at);
    age(at, 3600);
    vi.advanceTimersByTime(5000);
    expect(statSync(join(at, LOCK)).mtimeMs).toBeGreaterThan(Date.now() - 60_000);
    lock.check();
    lock.release();
  });

  it('tells its holder when it was lost to another one, and leaves that alone', () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const at = folder();
    const lock = take(at);
    write(at, holder({ host: 'elsewhere' }));
    vi.advanceTimersByTime(5000);
    expect(() => lock.check()).toThrow('elsewhere is training F1C0');
    lock.release();
    expect(existsSync(join(at, LOCK))).toBe(true);
  });

  it('that was cut off while it was written is free some seconds later', () => {
    const at = folder();
    writeFileSync(join(at, LOCK), '');
    expect(() => take(at)).toThrow('another process is writing');
    age(at, 6);
    take(at).release();
  });

  it('is taken over from a process that died while it took it over from a dead one', () => {
    const at = folder();
    const dead = holder({ start: '1', pid: 2 ** 22 + 1 });
    write(at, { ...dead, token: 'first' });
    write(at, { ...dead, token: 'second' }, `${LOCK}.first`);
    write(at, { ...dead, token: 'third' }, `${LOCK}.second`);
    const lock = take(at);
    expect(readdirSync(at)).toEqual([LOCK]);
    expect(() => take(at)).toThrow('is training F1C1');
    lock.release();
    write(at, { ...dead, token: 'first' });
    write(at, holder({ doing: 'taking over' }), `${LOCK}.first`);
    expect(() => take(at)).toThrow('is taking over');
  });

  it('of a dead process goes to one of many that want it', async () => {
    const at = folder();
    write(at, holder({ start: '1', pid: 2 ** 22 + 1 }));
    const go = join(folder(), 'go');
    const script = `
      import { existsSync } from 'node:fs';
      import { lockFolder } from ${built('lock')};
      console.log('ready');
      while (!existsSync(${JSON.stringify(go)}));
      try { lockFolder(${JSON.stringify(at)}, 'training'); process.exitCode = 10; setTimeout(() => undefined, 2000); }
      catch (thrown) { process.exitCode = thrown.code === 'folder-in-use' ? 11 : 12; }`;
    const children = await Promise.all(Array.from({ length: 6 }, () => startScript(script)));
    writeFileSync(go, '');
    await until(() => children.every(({ exitCode }) => exitCode !== null));
    expect(children.map(({ exitCode }) => exitCode).sort()).toEqual([10, 11, 11, 11, 11, 11]);
    expect(readdirSync(at)).toEqual([]);
  }, 60_000);
});
