import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { runs, until } from '../processes.js';

/** Why no cluster can be started here; undefined where one can. */
export const noCluster: string | undefined = (() => {
  if (process.getuid?.() !== 0) return 'its daemons are started as root';
  const missing = ['munged', 'slurmctld', 'slurmd', 'sbatch'].filter(
    (name) => spawnSync('sh', ['-c', `command -v ${name}`]).status !== 0,
  );
  return missing.length > 0 ? `there is no ${missing.join(', ')}` : undefined;
})();

/** A real Slurm of two nodes on this machine, in a folder of its own. */
export interface Cluster {
  /** The environment in which Slurm's commands find it. */
  readonly env: NodeJS.ProcessEnv;
  /** Runs one of Slurm's commands, and gives what it prints. */
  readonly call: (name: string, ...words: readonly string[]) => string;
  readonly stop: () => Promise<void>;
}

/**
 * Starts munge, which proves who asks, the controller, and the daemons of the nodes n0 and n1, of one processor each. There is no accounting, and no control
 * group, so that it runs in a container.
 */
export async function startCluster(): Promise<Cluster> {
  const folder = mkdtempSync(join(tmpdir(), 'ort-tl-slurm-'));
  const at = (name: string) => join(folder, name);
  // A socket's path may have 107 characters, and munge wants its folder to be its own.
  const munge = mkdtempSync('/tmp/ort-tl-munge-');
  for (const name of ['controller', 'n0', 'n1']) mkdirSync(at(name));
  const [controller, ...nodes] = await freePorts(3);
  const host = hostname().split('.')[0] ?? '';
  writeFileSync(
    at('slurm.conf'),
    `ClusterName=test
SlurmctldHost=${host}(127.0.0.1)
SlurmctldPort=${controller ?? 0}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=${munge}/socket
CredType=cred/munge
StateSaveLocation=${at('controller')}
SlurmdSpoolDir=${folder}/%n
SlurmctldPidFile=${at('controller.pid')}
SlurmdPidFile=${folder}/%n.pid
SlurmctldLogFile=${at('controller.log')}
SlurmdLogFile=${folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=2,batch_sched_delay=0
ReturnToService=2
MpiDefault=none
SwitchType=switch/none
SlurmdParameters=config_overrides
KillWait=2
${nodes.map((port, index) => `NodeName=n${index} NodeHostname=${host} NodeAddr=127.0.0.1 Port=${port} CPUs=1 State=UNKNOWN`).join('\n')}
PartitionName=main Nodes=ALL Default=YES MaxTime=60 State=UP
`,
  );
  writeFileSync(join(munge, 'key'), randomBytes(128), { mode: 0o400 });
  const env = { ...process.env, SLURM_CONF: at('slurm.conf') };
  const call = (name: string, ...words: readonly string[]) => execFileSync(name, words, { env, encoding: 'utf8' });
  const own = (name: string) => `--${name}-file=${join(munge, name)}`;
  const pids = () =>
    [
      join(munge, 'pid'),
      ...readdirSync(folder)
        .filter((name) => name.endsWith('.pid'))
        .map(at),
    ].flatMap((path) => {
      const pid = Number(readFileSync(path, 'utf8'));
      return pid > 1 ? [pid] : [];
    });
  call('munged', '--force', own('key'), own('pid'), own('log'), own('seed'), `--socket=${join(munge, 'socket')}`);
  call('slurmctld', '-c');
  for (const name of ['n0', 'n1']) call('slurmd', '-N', name);
  const stop = async () => {
    const all = pids();
    for (const pid of all.filter(runs)) process.kill(pid, 'SIGTERM');
    await until(() => !all.some(runs));
    rmSync(munge, { recursive: true, force: true });
  };
  await until(() => call('sinfo', '-h', '-N', '-o', '%T') === 'idle\nidle\n');
  return { env, call, stop };
}

/** Ports that nobody listens on. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve) =>
          server.listen(0, '127.0.0.1', () => {
            const address = server.address();
            resolve(typeof address === 'object' && address ? address.port : 0);
          }),
        ),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
