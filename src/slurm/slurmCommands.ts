import { spawn } from 'node:child_process';
import { UserError } from '../errors.js';
import { fileErrorCode } from '../files.js';

/** A task of an array, as Slurm tells of it. */
export interface ArrayTask {
  readonly job: string;
  readonly index: number;
  /** Such as `PENDING`, `RUNNING`, `COMPLETED`, `NODE_FAIL`. */
  readonly state: string;
  /** Why it waits; `None` where there is no reason. */
  readonly reason: string;
}

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Submits an array, and gives its number.
 * @throws UserError `no-slurm` where there is no sbatch, `slurm-refused` with what it says.
 */
export async function submitArray(script: string, tasks: string): Promise<string> {
  const { code, stdout, stderr } = await called('sbatch', ['--parsable', `--array=${tasks}`, script]);
  // With several clusters their name stands behind a semicolon.
  const job = /^(\d+)(;|$)/.exec(stdout.trim())?.[1];
  if (code !== 0 || job === undefined)
    throw new UserError('slurm-refused', `Slurm refuses the array: ${ownWords('sbatch', stderr) || stdout.trim()}`);
  return job;
}

/** What Slurm still knows of an array's tasks; none of one that ended long ago. Undefined where Slurm does not answer now. */
export async function tasksOf(job: string): Promise<ArrayTask[] | undefined> {
  const { code, stdout, stderr } = await called('squeue', ['-h', '-r', '-t', 'all', '-j', job, '-o', '%K|%T|%r']);
  if (code !== 0) return /Invalid job id/i.test(stderr) ? [] : undefined;
  return stdout.split('\n').flatMap((line) => {
    const [index = '', state = '', reason = ''] = line.trim().split('|');
    return /^\d+$/.test(index) ? [{ job, index: Number(index), state, reason }] : [];
  });
}

/** Ends all tasks of an array that have not ended. @throws UserError `slurm-refused`. */
export async function cancelArray(job: string): Promise<void> {
  const { code, stderr } = await called('scancel', [job]);
  if (code !== 0 && !/Invalid job id/i.test(stderr))
    throw new UserError(
      'slurm-refused',
      `Slurm does not cancel job ${job}: ${ownWords('scancel', stderr)}; try scancel ${job}`,
    );
}

/** What one of Slurm's commands says of an error, in one line and without its name. */
const ownWords = (name: string, text: string): string =>
  text
    .split('\n')
    .map((line) => line.replace(new RegExp(`^${name}: (error|fatal): `), '').trim())
    .filter((line) => line !== '')
    .join('; ');

/** @throws UserError `no-slurm`. */
function called(name: string, words: readonly string[]): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    // In a group of its own: Ctrl-C of the terminal must not end it between what it does and what it says.
    const child = spawn(name, words, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    const said = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr'] as const)
      child[stream].setEncoding('utf8').on('data', (text: string) => (said[stream] += text));
    child.once('error', (cause) => {
      reject(
        fileErrorCode(cause) === 'ENOENT'
          ? new UserError(
              'no-slurm',
              `there is no ${name} here; call this where jobs are submitted to Slurm, or have the script printed (‹scriptOnly›)`,
              { cause },
            )
          : cause,
      );
    });
    child.once('close', (code) => {
      resolve({ code, ...said });
    });
  });
}
