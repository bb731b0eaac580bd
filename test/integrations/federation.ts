import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { main } from '../cli/cli.js';

/** The Flower app of this repository. */
const APP = fileURLToPath(new URL('../../integrations/flower', import.meta.url));
/** What the app needs, as its pyproject.toml says. */
const CHECK = `
import importlib.metadata as packages
import safetensors, numpy
raise SystemExit(0 if packages.version("flwr").startswith("1.42.") else 1)`;

/** A Python that has Flower 1.42; undefined where there is none. */
export const python = [process.env['ORT_TL_FLOWER_PYTHON'] ?? '', 'python3'].find(
  (path) => path !== '' && spawnSync(path, ['-c', CHECK]).status === 0,
);

/** A line of rounds.jsonl, as far as tests look at it. */
export interface Round {
  readonly round: number;
  readonly photos: number;
  readonly devices: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly leftOut: Readonly<Record<string, string>>;
  readonly atTheServer: { readonly top1: number; readonly evaluated: number };
  readonly pooled?: { readonly top1: number; readonly evaluated: number } | null;
  readonly bytes: { readonly down: number; readonly up: number };
}

/** The whole rounds of a federation. */
export const roundsOf = (out: string): Round[] =>
  readFileSync(join(out, 'rounds.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Round);

/** What a device is, and has. */
export interface DeviceSettings {
  readonly name: string;
  readonly artifacts: string;
  readonly photos: string;
  /** The command that trains, in place of this repository's. */
  readonly command?: string;
}

/** A SuperLink and its SuperNodes, each a process of its own, with TLS and a key for each device, as docs/fleet.md shows it. */
export class Federation {
  private readonly processes: ChildProcess[] = [];
  /** Whoever asks for something outside gets here, and is counted. */
  private readonly outside: Server;
  /** Connections that were asked for, to whatever host. */
  attempts = 0;

  private constructor(
    private readonly folder: string,
    private readonly port: number,
  ) {
    this.outside = createServer((socket) => {
      this.attempts++;
      socket.destroy();
    });
  }

  /** Makes certificates and starts a SuperLink, which is up when it is given. */
  static async start(folder: string): Promise<Federation> {
    const federation = new Federation(folder, await freePort());
    await new Promise<void>((listens) => federation.outside.listen(0, '127.0.0.1', listens));
    certify(folder);
    const tls = ['--ssl-ca-certfile', 'ca.pem', '--ssl-certfile', 'server.pem', '--ssl-keyfile', 'server.key'];
    const link = ['superlink', ...tls, '--enable-supernode-auth', '--port', String(federation.port)];
    await federation.says(federation.spawn('superlink', link), 'superlink', 'Uvicorn running');
    const home = federation.home('user');
    writeFileSync(
      join(home, 'config.toml'),
      `[superlink.here]\naddress = "127.0.0.1:${federation.port}"\nroot-certificates = "${join(folder, 'ca.pem')}"\n`,
    );
    return federation;
  }

  /** Registers a device's key, and starts the device. */
  async join({ name, artifacts, photos, command }: DeviceSettings): Promise<ChildProcess> {
    const key = join(this.folder, name);
    execFileSync('ssh-keygen', ['-q', '-t', 'ecdsa', '-b', '384', '-N', '', '-f', key]);
    this.flwr(['supernode', 'register', `${key}.pub`, 'here']);
    const has = { name, artifacts, photos, cache: join(this.folder, 'features'), 'ort-tl': command ?? ENGINE };
    const config = Object.entries(has).map(([setting, value]) => `${setting}="${value}"`);
    const child = this.spawn(name, [
      ...['supernode', '--superlink', `127.0.0.1:${this.port}`, '--root-certificates', 'ca.pem'],
      ...['--auth-supernode-private-key', key, '--port', String(await freePort())],
      ...['--node-config', config.join(' ')],
    ]);
    await this.says(child, name, 'SuperNode ID');
    return child;
  }

  /** Runs the app to its end, and gives what the server said. */
  async run(config: Readonly<Record<string, string | number>>): Promise<string> {
    const settings = Object.entries({ 'ort-tl': ENGINE, ...config }).map(
      ([name, value]) => `${name}=${typeof value === 'string' ? `"${value}"` : value}`,
    );
    const child = this.spawn(
      'run',
      ['flwr', 'run', APP, 'here', '--run-config', settings.join(' '), '--stream'],
      'user',
    );
    await new Promise((end) => child.once('exit', end));
    return this.log('run');
  }

  /** What a process has said so far. */
  log(name: string): string {
    return readFileSync(join(this.folder, `${name}.log`), 'utf8');
  }

  /** Waits until a process has said something. @throws when it ends before. */
  async says(child: ChildProcess, name: string, text: string): Promise<void> {
    while (!this.log(name).includes(text)) {
      if (child.exitCode !== null) throw new Error(this.log(name));
      await new Promise((wake) => setTimeout(wake, 100));
    }
  }

  /** Ends all processes, each with what it started. */
  stop(): void {
    this.outside.close();
    for (const { pid } of this.processes)
      try {
        if (pid !== undefined) process.kill(-pid, 'SIGKILL');
      } catch {
        // It has ended.
      }
  }

  private home(name: string): string {
    const home = join(this.folder, 'homes', name);
    mkdirSync(home, { recursive: true });
    return home;
  }

  private environment(home: string): NodeJS.ProcessEnv {
    const address = this.outside.address();
    const proxy = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
    return {
      ...process.env,
      PYTHONPATH: APP,
      PYTHONDONTWRITEBYTECODE: '1',
      FLWR_HOME: this.home(home),
      ...{ HTTPS_PROXY: proxy, HTTP_PROXY: proxy, NO_PROXY: '127.0.0.1' },
    };
  }

  private spawn(name: string, args: readonly string[], home = name): ChildProcess {
    const log = openSync(join(this.folder, `${name}.log`), 'w');
    const child = spawn(python ?? 'python3', ['-m', 'ort_tl_flower', ...args], {
      cwd: this.folder,
      env: this.environment(home),
      stdio: ['ignore', log, log],
      detached: true,
    });
    this.processes.push(child);
    return child;
  }

  private flwr(args: readonly string[]): void {
    execFileSync(python ?? 'python3', ['-m', 'ort_tl_flower', 'flwr', ...args], {
      cwd: this.folder,
      env: this.environment('user'),
      stdio: 'pipe',
    });
  }
}

/** The command of this repository. */
const ENGINE = `${process.execPath} ${main}`;

/** A certificate authority of the federation's own, and the server's certificate. */
function certify(folder: string): void {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=federation');
  const server = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-subj', '/CN=superlink'];
  const names = ['-addext', 'subjectAltName=IP:127.0.0.1', '-addext', 'basicConstraints=CA:FALSE'];
  openssl('req', '-x509', ...key, ...server, ...names, '-keyout', 'server.key', '-out', 'server.pem');
}

function freePort(): Promise<number> {
  return new Promise((found) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
      server.close(() => found(port));
    });
  });
}
