// What is varied, one thing at a time.
import { coreCounts } from '../machine.js';

/** @typedef {{ policy?: string, share?: number, batch?: number, cores?: number, flags?: readonly string[] }} Settings */
/**
 * One value of what is varied.
 * @typedef {object} Point
 * @property {string} id what the value is called in the records
 * @property {string | number} shown
 * @property {Settings} settings what a training gets for it
 */
/**
 * @typedef {object} Axis
 * @property {string} name
 * @property {string} label
 * @property {readonly Point[]} points
 * @property {readonly string[]} policies empty where the policy is what is varied
 * @property {boolean} [isOfCores] whether the time would be divided by the value at best
 * @property {string} [empty] why there are no points
 * @property {string} [note] how it is varied, where that is not plain
 */
/** @typedef {{ quick: boolean, photos: number, usual: number, policies: readonly string[], takesSides: boolean }} Choice */
/** @typedef {{ point: Point, policy: string, id: string }} Training */

/** Photos for each core, so that each has a session of the frozen part, and has it for long enough. */
const PHOTOS_A_CORE = 192;

/**
 * @param {Choice} choice `photos`: how many train at most; `usual`: the share of them that does
 * @param {number} cores of the machine
 * @returns {Axis[]}
 */
export function axesOf({ quick, photos, usual, policies, takesSides }, cores) {
  const sizes = quick ? [32, 64] : [96, 128, 160, 192, 224, 256];
  const share = quick ? usual : Math.max(usual, Math.min(1, (PHOTOS_A_CORE * cores) / photos));
  const counts = coreCounts(cores);
  return [
    {
      name: 'images',
      label: 'photos to train with',
      points: (quick ? [usual / 2, usual] : [0.125, 0.25, 0.5, 1]).map((part) => ({
        id: String(part),
        shown: Math.round(part * photos),
        settings: { share: part },
      })),
      policies: ['F1C0', 'F1C1'],
    },
    {
      name: 'resolution',
      label: 'side in pixels',
      points: takesSides ? sizes.map((size) => pointOf(size, { flags: ['--size', String(size)] })) : [],
      policies: ['F1C0', 'F1C1'],
      empty: 'the model takes one size of image only',
    },
    {
      name: 'layers',
      label: 'policy',
      points: (quick ? policies.slice(0, 2) : policies).map((policy) => pointOf(policy, { policy })),
      policies: [],
    },
    {
      name: 'batch',
      label: 'batch',
      points: (quick ? [8, 16] : [4, 8, 16, 32, 64]).map((batch) => pointOf(batch, { batch })),
      policies: ['F1C1', 'full'],
    },
    {
      name: 'threads',
      label: 'threads',
      points: counts.map((count) => pointOf(count, { share, flags: ['--threads', String(count)] })),
      policies: ['F1C1', 'full'],
      isOfCores: true,
      note: 'By `--threads`, on a machine whose other cores are there too.',
    },
    {
      name: 'cores',
      label: 'cores',
      points: counts.map((count) => pointOf(count, { share, cores: count })),
      policies: ['F1C1', 'full'],
      isOfCores: true,
      note: 'Bound to so many cores, as on a machine that has no more.',
    },
  ];
}

/** @type {(value: string | number, settings: Settings) => Point} */
const pointOf = (value, settings) => ({ id: String(value), shown: value, settings });

/**
 * The trainings of an axis: each of its points with each of its policies.
 * @param {Axis} axis
 * @returns {Training[]}
 */
export const trainingsOf = ({ name, points, policies }) =>
  points.flatMap((point) =>
    (policies.length > 0 ? policies : [point.id]).map((policy) => ({
      point,
      policy,
      id: `${name}/${policy}/${point.id}`,
    })),
  );
