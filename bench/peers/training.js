// A training through ort-tl's command line, in a process of its own.
import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { z } from 'zod';
import { median } from '../../dist/bench/statistics.js';
import { allowedCores } from '../machine.js';
import { stopping } from './process.js';

/** @import { Epochs } from './result.js' */
/**
 * @typedef {object} TrainingSettings
 * @property {string} model
 * @property {string} data
 * @property {string} policy
 * @property {number} epochs
 * @property {number} [batch]
 * @property {readonly string[]} [flags]
 * @property {number} [cores] runs on so many of the machine's cores, as on a machine that has no more
 * @property {(work: string, ended: readonly EndedEpoch[]) => void} [onEnd] is called before the folder of the run is removed
 * @property {(work: string) => readonly string[]} [nodeFlags]
 */

export const CLI = fileURLToPath(new URL('../../dist/bin/start.cjs', import.meta.url));

/** A loss that is not finite is null in JSON. */
const loss = z.number().nullable();
const epochSchema = z.object({
  time: z.string(),
  result: z.object({ elapsedMs: z.number(), trainLoss: loss, valLoss: loss, top1: loss }),
});
/** @typedef {z.infer<typeof epochSchema>} EndedEpoch */
const eventSchema = z.looseObject({ type: z.string() });
const summarySchema = z.object({
  trainPhotos: z.number(),
  valPhotos: z.number(),
  peakRssBytes: z.number(),
  cost: z.looseObject({}),
  batch: z.number(),
});

/** @type {(path: string) => unknown} */
const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));

/**
 * Trains with the command line, and tells how long each epoch took, and how long until the last epoch's end, everything since the
 * process started included.
 * @param {TrainingSettings} settings
 */
export async function measureTraining(settings) {
  const { model, data, policy, epochs, batch = 32, flags = [], onEnd, cores } = settings;
  const work = mkdtempSync(join(tmpdir(), 'ort-tl-peers-'));
  try {
    const out = join(work, 'run');
    const args = ['train', '--model', model, '--data', data, '--policy', policy];
    const common = ['--epochs', String(epochs), '--batch', String(batch), '--out', out, '--quiet'];
    const cached = ['--cache', join(work, 'cache')];
    // As a user starts it: by its first line, which says how memory is given back.
    const command = settings.nodeFlags ? [process.execPath, ...settings.nodeFlags(work), CLI] : [CLI];
    const [program = CLI, ...rest] = [...onlyOn(cores), ...command, ...args, ...common, ...cached, ...flags];
    const cpuBefore = childrenCpuS();
    const began = Date.now();
    const child = spawn(program, rest, {
      env: {
        ...process.env,
        PATH: [dirname(process.execPath), process.env.PATH ?? ''].join(delimiter),
        // Nothing that an earlier run kept may help this one.
        XDG_CACHE_HOME: join(work, 'cache'),
      },
      stdio: ['ignore', 'ignore', 'pipe'],
      signal: stopping.signal,
    });
    let complaint = '';
    child.stderr.on('data', (/** @type {Buffer} */ text) => (complaint += text.toString()));
    /** @type {number | null} */
    const code = await new Promise((resolve, reject) => child.on('close', resolve).on('error', reject));
    const processS = (Date.now() - began) / 1000;
    const cpuS = (childrenCpuS() ?? NaN) - (cpuBefore ?? NaN);
    if (code !== 0) throw new Error(complaint.trim().split('\n').at(-1) || `exit code ${code ?? 'none'}`);

    const summary = summarySchema.parse(readJson(join(out, 'summary.json')));
    const events = readFileSync(join(out, 'events.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => eventSchema.parse(JSON.parse(line)));
    const ended = events.filter(({ type }) => type === 'epoch').map((event) => epochSchema.parse(event));
    onEnd?.(work, ended);
    return {
      trainPhotos: summary.trainPhotos,
      valPhotos: summary.valPhotos,
      epochs: ended.map(({ result }) => ({
        seconds: result.elapsedMs / 1000,
        trainLoss: result.trainLoss,
        valLoss: result.valLoss,
        top1: result.top1,
      })),
      trainingS: (timeOf(ended.at(-1)) - began) / 1000,
      processS,
      ...(Number.isFinite(cpuS) ? { cpuS } : {}),
      peakRssBytes: summary.peakRssBytes,
      cost: summary.cost,
      batch: summary.batch,
    };
  } finally {
    rmSync(work, { recursive: true });
  }
}

/**
 * The command before a command that lets it use `cores` of the machine's cores alone.
 * @param {number | undefined} cores
 */
function onlyOn(cores) {
  if (cores === undefined) return [];
  const allowed = allowedCores();
  if (!allowed) throw new Error('this system does not tell which cores a process may use');
  if (allowed.length < cores) throw new Error(`the machine has ${allowed.length} cores`);
  return ['taskset', '-c', allowed.slice(0, cores).join(',')];
}

/** Seconds that the ended processes of this one have computed, on all cores; undefined where Linux's /proc is not there. */
function childrenCpuS() {
  const path = '/proc/self/stat';
  if (!existsSync(path)) return undefined;
  // Behind the name, which may have spaces, the fields from the third on: cutime and cstime are the 16th and 17th, in hundredths.
  const fields = readFileSync(path, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ')
    .map(Number);
  return ((fields[13] ?? NaN) + (fields[14] ?? NaN)) / 100;
}

/** @param {EndedEpoch | undefined} ended */
export const timeOf = (ended) => Date.parse(ended?.time ?? '');

/** What `ort-tl train --help` prints: which flags this version has. */
export async function helpOfTrain() {
  return (await promisify(execFile)(process.execPath, [CLI, 'train', '--help'], { encoding: 'utf8' })).stdout;
}

/**
 * The median of all epochs but the first.
 * @param {readonly Pick<Epochs[number], 'seconds'>[]} epochs
 */
export const laterSeconds = (epochs) => median(epochs.slice(1).map(({ seconds }) => seconds));
