import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { drawPictures } from '../../src/data/pictures.js';
import { SMALL_CNN } from '../models.js';
import { until } from '../processes.js';
import { cli, expectRefusal, folder, main } from './cli.js';

const started: ChildProcess[] = [];
afterEach(() => {
  for (const each of started.splice(0)) each.kill('SIGKILL');
});

interface Started {
  readonly child: ChildProcess;
  readonly url: string;
  readonly port: number;
  /** Asks the studio as the page does. */
  readonly ask: (path: string, body?: object) => Promise<Response>;
}

/** Starts the command, and gives it once it says where it is. */
async function start(args: readonly string[], cwd: string): Promise<Started> {
  const child = spawn(process.execPath, [main, 'studio', '--no-open', '--json', ...args], { cwd });
  started.push(child);
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
  await until(() => said.endsWith('}\n') || child.exitCode !== null);
  const { url, port } = JSON.parse(said) as { url: string; port: number };
  const token = new URL(url).searchParams.get('token') ?? '';
  const ask = (path: string, body?: object) =>
    fetch(`http://127.0.0.1:${port}/api/${path}`, {
      method: body ? 'POST' : 'GET',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
  return { child, url, port, ask };
}

async function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null) await once(child, 'exit');
  return child.exitCode;
}

describe.skipIf(process.platform === 'win32')('ort-tl studio', () => {
  it('makes the folder of photos, says where it is, and ends by Ctrl-C', async () => {
    const work = folder();
    const { child, url, port } = await start(['--port', '0', '--model', 'small_cnn'], work);
    expect(url).toMatch(new RegExp(`^http://127\\.0\\.0\\.1:${port}/\\?token=[\\w-]{32}$`));
    expect(readdirSync(work)).toEqual(['photos']);
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(401);
    expect((await fetch(url)).status).toBe(200);
    child.kill('SIGINT');
    expect(await ended(child)).toBe(130);
  });

  it('has a training saved that runs when it is killed, which goes on in the next one', async () => {
    const work = folder();
    await drawPictures(join(work, 'photos'), { set: 'demo', trainPerClass: 30, valPerClass: 4, size: 48, seed: 1 });
    const flags = ['--port', '0', '--model', SMALL_CNN, '--cache', join(work, 'cache')];
    const first = await start(flags, work);
    const request = { kind: 'train', policy: 'full', epochs: 400, flags: { threads: 1 } };
    const { run = '' } = (await (await first.ask('jobs', request)).json()) as { run?: string };
    await until(() => existsSync(join(work, 'runs', run, 'results.csv')));
    first.child.kill('SIGKILL');
    await ended(first.child);
    // The training sees that its studio is gone, and saves what it has.
    await until(
      () => existsSync(join(work, 'runs', run, 'last')) && !existsSync(join(work, 'runs', run, '.ort-tl.lock')),
    );
    const second = await start(flags, work);
    const again = (await (await second.ask('jobs', { kind: 'resume', run })).json()) as { id: string; command: string };
    expect(again.command).toBe(`npx ort-tl train --resume ${join('runs', run)}`);
    const stopped = await second.ask('jobs/stop', { id: again.id });
    expect(stopped.status).toBe(200);
    second.child.kill('SIGINT');
    expect(await ended(second.child)).toBe(130);
  });

  it('refuses what is no folder of class folders, and a port that is taken', async () => {
    const work = folder();
    writeFileSync(join(work, 'list.csv'), 'path,label\na.jpg,cat\n');
    expectRefusal(
      cli(['studio', '--no-open', '--data', 'list.csv'], work),
      /list\.csv is a file.*name a folder \(--data\)/,
    );
    expectRefusal(cli(['studio', '--no-open', '--port', '70000'], work), /whole number from 0 to 65535/);
    expectRefusal(cli(['studio', '--no-open', '--model', 'nosuch'], work), /nosuch/);
    const { port } = await start(['--port', '0', '--model', 'small_cnn'], work);
    expectRefusal(cli(['studio', '--no-open', '--port', String(port)], work), /port \d+ is in use.*\(--port\)/);
  });

  it('says what it opens where others can reach it', async () => {
    const { child } = await start(['--port', '0', '--host', '0.0.0.0', '--model', 'small_cnn'], folder());
    let told = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (told += text));
    child.kill('SIGINT');
    expect(await ended(child)).toBe(130);
    expect(told).toMatch(/other machines can reach it at 0\.0\.0\.0 \(--host\).*token/);
  });
});
