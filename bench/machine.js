// Which kind of machine measures, and records of several kinds side by side.
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';

/** @import { Records } from '../dist/bench/records.js' */

/** Vector instructions by what Linux calls them, the widest first. */
const VECTORS = /** @type {const} */ ([
  // Tiles of bfloat16, which PyTorch multiplies by and ONNX Runtime does not.
  ['amx_bf16', 'AVX-512 and AMX'],
  ['avx512f', 'AVX-512'],
  ['avx2', 'AVX2'],
  ['avx', 'AVX'],
  ['sve', 'SVE'],
  ['asimd', 'NEON'],
]);

/**
 * The widest vector instructions of the processor that Linux tells of; undefined where it names none.
 * @param {string} cpuinfo the text of /proc/cpuinfo
 */
export function widestVectors(cpuinfo) {
  const flags = new Set((/^(?:flags|Features)\s*:(.*)$/m.exec(cpuinfo)?.[1] ?? '').trim().split(/\s+/));
  return VECTORS.find(([flag]) => flags.has(flag))?.[1];
}

/** The processor's name and its widest vector instructions, as a note for records. */
export function machineNote() {
  const name = cpus()[0]?.model.trim();
  return [name === undefined || name === '' ? 'unknown processor' : name, widestVectors(textOf('/proc/cpuinfo'))]
    .filter((part) => part !== undefined)
    .join(', ');
}

/** The processors that this process may run on, by their numbers; undefined where the system does not tell. */
export function allowedCores() {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(textOf('/proc/self/status'))?.[1];
  return list?.split(',').flatMap((range) => {
    const [first = NaN, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

/**
 * The numbers of cores to draw a curve over: all of them in the end.
 * @param {number} cores
 */
export const coreCounts = (cores) => [
  ...[1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64].filter((count) => count < cores),
  cores,
];

/** @param {string} path */
function textOf(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/**
 * @typedef {object} MachineRecords
 * @property {string} heading which machine
 * @property {string | undefined} machine its note; undefined in records of before there were notes
 * @property {string} setting
 * @property {number} cores that were used
 * @property {Records} records of this machine alone
 */

/** How a setting ends in the number of cores, which belongs to the machine and not to the work. */
const CORES = /, (\d+) (?:threads|cores)(?=,|$)/;

/**
 * Records of the same work by the kinds of machine that did it, this one first.
 * @param {Records} records
 * @param {string} setting of this run
 * @param {string} machine this one's note
 * @returns {MachineRecords[]}
 */
export function byMachine(records, setting, machine) {
  const work = setting.replace(CORES, '');
  const same = records.entries.filter((each) => each.setting.replace(CORES, '') === work);
  /** @type {Map<string, MachineRecords>} */
  const groups = new Map();
  for (const each of [{ setting, machine }, ...same]) {
    const cores = Number(CORES.exec(each.setting)?.[1] ?? availableParallelism());
    const heading = `${each.machine ?? 'a machine not told'}, ${cores} ${cores === 1 ? 'core' : 'cores'}`;
    if (!groups.has(heading))
      groups.set(heading, {
        heading,
        machine: each.machine,
        setting: each.setting,
        cores,
        records: records.ofMachine(each.machine),
      });
  }
  const found = [...groups.values()];
  const measured = found.filter((group) => group.records.entries.some((each) => each.setting === group.setting));
  return measured.length > 0 ? measured : found.slice(0, 1);
}
