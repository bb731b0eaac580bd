import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectRefusal, main, type Outcome } from '../cli/cli.js';
import { until } from '../processes.js';
import { type Cluster, noCluster, startCluster } from './cluster.js';

const FOUR = `models: { cnn: small_cnn }
data: { pictures: { drawn: { train: 4, val: 2, size: 32 } } }
policies: [F1C0]
seeds: [0, 1, 2, 3]
train: { epochs: 1, batch: 16 }
energy: { source: none }
warm-up: false
`;

const work = mkdtempSync(join(tmpdir(), 'ort-tl-'));
const file = join(work, 'four.yaml');
writeFileSync(file, FOUR);

/** Accuracies of all cells, as the summary has them. */
function accuraciesIn(out: string): string[] {
  const [headings = '', ...rows] = readFileSync(join(out, 'summary.csv'), 'utf8').trimEnd().split('\n');
  const columns = headings
    .split(',')
    .flatMap((name, at) => (/^(runs|(top1Percent|bestEpoch)_\w+)$/.test(name) ? [at] : []));
  return rows.map((row) => columns.map((at) => row.split(',')[at]).join(','));
}

/** A command under way, and what it has printed so far. */
interface Watched {
  readonly child: ChildProcess;
  readonly said: { stdout: string; stderr: string };
  readonly end: Promise<Outcome>;
}

function start(words: readonly string[], env: NodeJS.ProcessEnv = process.env): Watched {
  const child = spawn(process.execPath, [main, 'bench', file, ...words], { env, cwd: work });
  const said = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream].setEncoding('utf8').on('data', (text: string) => (said[stream] += text));
  const end = new Promise<Outcome>((resolve) => child.once('close', (status) => resolve({ status, ...said })));
  return { child, said, end };
}

it('says in one line that there is no Slurm here, and what is for Slurm alone', async () => {
  const without = { ...process.env, PATH: join(work, 'nothing') };
  expectRefusal(
    await start(['--on', 'slurm', '--out', 'never'], without).end,
    /there is no sbatch here; call this where jobs are submitted to Slurm, or have the script printed \(--script-only\)/,
  );
  expect(existsSync(join(work, 'never', 'slurm.json'))).toBe(false);
  expectRefusal(await start(['--partition', 'x']).end, /--partition is for --on slurm/);
  expectRefusal(await start(['--on', 'slurm', '--shard', '1/2']).end, /expected --on slurm or --shard, not both/);
});

it('prints a script whose paths are absolute, with the flags that were given', async () => {
  const flags = [
    '--partition',
    'cpu',
    '--time',
    '1:00:00',
    '--nodes',
    '2',
    '--shards',
    '3',
    "--sbatch=--comment=it's mine",
    '--sbatch=-c4',
  ];
  const { status, stdout } = await start([
    '--on',
    'slurm',
    '--script-only',
    '--out',
    'a b',
    '--data',
    'pictures=photos',
    ...flags,
  ]).end;
  // Data that are not there make the row missing: nothing is left to run.
  expect(status).toBe(2);
  expect(stdout).toBe('');
  const printed = await start(['--on', 'slurm', '--script-only', '--out', 'a b', ...flags]).end;
  expect(printed.status, printed.stderr).toBe(0);
  const directives = printed.stdout.split('\n').filter((line) => line.startsWith('#SBATCH'));
  expect(directives).toEqual(
    [
      '--job-name=ort-tl-four',
      '--array=1-3%2',
      `--output="${work}/a b/shards/%a.log"`,
      '--open-mode=append',
      '--requeue',
      '--nodes=1',
      '--partition=cpu',
      '--time=1:00:00',
      `--comment="it's mine"`,
      '-c4',
    ].map((flag) => `#SBATCH ${flag}`),
  );
  expect(printed.stdout).toContain(`cd ${work} || exit\n`);
  expect(printed.stdout).toContain(
    ` bench ${file} \\\n  --shard "$SLURM_ARRAY_TASK_ID/3" --out '${work}/a b/shards'/"$SLURM_ARRAY_TASK_ID"\n`,
  );
  expect(existsSync(join(work, 'a b'))).toBe(false);
});

describe.skipIf(noCluster !== undefined)(
  `on a real Slurm${noCluster === undefined ? '' : ` (skipped: ${noCluster})`}`,
  () => {
    let cluster: Cluster;
    const out = join(work, 'out');
    const sweep = (...words: string[]) =>
      start(['--on', 'slurm', '--shards', '4', '--out', out, ...words], cluster.env);
    beforeAll(async () => {
      cluster = await startCluster();
      expect(await start(['--out', join(work, 'whole')]).end).toMatchObject({ status: 0 });
    });
    afterAll(() => cluster.stop());

    const jobs = () =>
      (JSON.parse(readFileSync(join(out, 'slurm.json'), 'utf8')) as { jobs: { id: string }[] }).jobs.map(
        ({ id }) => id,
      );
    const queue = (job: string, format: string) => cluster.call('squeue', '-h', '-r', '-j', job, '-o', format);
    const isRunning = (job: string, task: string) => queue(job, '%K %T').split('\n').includes(`${task} RUNNING`);

    it('refuses in one line, with the words of Slurm, what the cluster does not allow', async () => {
      expectRefusal(
        await sweep('--partition', 'gone').end,
        /Slurm refuses the array: invalid partition specified: gone; Batch job submission failed: Invalid partition name specified/,
      );
      expectRefusal(await sweep('--time', 'soon').end, /Slurm refuses the array: Invalid --time specification/);
      const late = await sweep('--time', '2:00:00').end;
      expect(late.stderr.split('\n').at(-2)).toMatch(
        /^ort-tl: Slurm took the array, and would never start it: PartitionTimeLimit; it was cancelled; .*--time/,
      );
      expect(late.status).toBe(2);
    });

    it('cancels the array on Ctrl-C, and says how to take it up', async () => {
      const { child, said, end } = sweep();
      await until(() => said.stderr.includes(' running'));
      child.kill('SIGINT');
      expect((await end).status).toBe(130);
      expect(said.stderr).toMatch(
        /cancelled job \d+; what is finished is kept, and the same command takes it up again/,
      );
      await until(() => queue(jobs()[0] ?? '', '%T') === '');
    });

    it('ends whole, with the same accuracies, though the terminal is lost, a task is killed and a node is drained', async () => {
      const lost = sweep();
      await until(() => lost.said.stderr.includes(' running'));
      lost.child.kill('SIGKILL');
      await lost.end;
      const [job = ''] = jobs();
      const { said, end } = sweep();
      await until(() => isRunning(job, '1') || !queue(job, '%K').split('\n').includes('1'));
      const victim =
        queue(job, '%K %T')
          .split('\n')
          .find((line) => line.endsWith('RUNNING'))
          ?.split(' ')[0] ?? '';
      cluster.call('scancel', '--signal=KILL', `${job}_${victim}`);
      cluster.call('scontrol', 'update', 'nodename=n1', 'state=drain', 'reason=test');
      const ended = await end;
      expect(ended.status, said.stderr).toBe(0);
      expect(said.stdout).toContain(`goes on watching job ${job}`);
      expect(said.stderr).toContain(`task ${victim} ended as CANCELLED: it is submitted again (1 of 2)`);
      expect(said.stdout).toContain('4 of 4 runs are finished');
      expect(jobs()).toHaveLength(2);
      expect(accuraciesIn(out)).toEqual(accuraciesIn(join(work, 'whole')));
      // All is there: nothing is submitted again.
      expect((await sweep().end).stdout).not.toContain('submitted');
    });
  },
);
