// Quantities of measurements, by round.
import { median } from '../../dist/bench/statistics.js';
import { TORCH_MODES, wholeSeconds } from './measurements.js';
import { reading, resultSchema } from './result.js';
import { laterSeconds } from './training.js';

/** @import { Records } from '../../dist/bench/records.js' */
/** @import { ByRound } from '../../dist/bench/statistics.js' */
/** @import { Quantity, Result } from './result.js' */
/** @typedef {(id: string) => ByRound} ById */
/** @typedef {(mode: string) => string} IdOf */

/** @type {ByRound} */
const NONE = new Map();

/** Quantities of measurements, by round, photos scaled to those of the whole training. */
export class Quantities {
  /**
   * @param {Records} records
   * @param {string} setting
   * @param {{ epochs: number, photos: number, machine?: string | undefined, cores: number }} about the training that all are scaled to, and
   *   the machine: its note, and how many of its cores were used
   */
  constructor(records, setting, { epochs, photos, machine = '', cores }) {
    this.records = records;
    this.setting = setting;
    this.machine = machine;
    this.cores = cores;
    this.epochs = epochs;
    this.photos = photos;
  }

  /**
   * @param {string} id
   * @param {Quantity} quantity
   */
  of(id, quantity) {
    return this.records.values(id, this.setting, reading(quantity));
  }

  /** @param {string} id */
  result(id) {
    const result = this.records.result(id, this.setting);
    return result && resultSchema.parse(result);
  }

  /** @param {readonly string[]} ids */
  why(ids) {
    for (const id of ids) {
      const error = this.records.error(id, this.setting);
      if (error) return `${id}: ${error}`;
    }
    return `not run: ${ids.find((id) => !this.result(id)) ?? ids[0] ?? ''}`;
  }

  /**
   * Times of a part of the photos, for all of them: what an epoch does is in proportion to its photos.
   * @param {Result} result
   */
  scale(result) {
    return this.photos / (result.trainPhotos + result.valPhotos);
  }

  /** @type {ById} */
  first = (id) => this.of(id, (result) => this.scale(result) * (result.epochs[0]?.seconds ?? NaN));
  /** @type {ById} */
  later = (id) => this.of(id, (result) => this.scale(result) * laterSeconds(result.epochs));
  /** @type {ById} */
  whole = (id) =>
    this.of(id, (result) =>
      result.trainingS !== undefined
        ? this.scale(result) * result.trainingS
        : this.scale(result) * (wholeSeconds(result, this.epochs) - (result.prepareS ?? 0)) + (result.prepareS ?? 0),
    );
  /**
   * Photos a second in the first epoch, those that validate counted in.
   * @type {ById}
   */
  firstRate = (id) =>
    this.of(id, ({ trainPhotos, valPhotos, epochs }) => (trainPhotos + valPhotos) / (epochs[0]?.seconds ?? NaN));
  /** @type {ById} */
  memory = (id) => this.of(id, ({ peakRssBytes }) => peakRssBytes);
  /** @type {ById} */
  step = (id) => this.of(id, ({ stepMs }) => stepMs?.median);

  /**
   * That of PyTorch's modes with the least of a quantity.
   * @param {ById} quantity
   * @param {IdOf} idOf
   * @param {readonly string[]} modes
   */
  best(quantity, idOf, modes = TORCH_MODES) {
    const measured = modes.flatMap((mode) => {
      const values = quantity(idOf(mode));
      return values.size > 0 ? [{ mode, values, median: median([...values.values()]) }] : [];
    });
    return measured.sort((a, b) => a.median - b.median)[0] ?? { mode: undefined, values: NONE };
  }
}

/** @type {(policy: string) => IdOf} */
export const usual = (policy) => (mode) => `train/${policy}/torch/${mode}/usual`;
/** @type {(policy: string) => IdOf} */
export const cached = (policy) => (mode) => `train/${policy}/torch/${mode}/cached`;
/** @type {(id: string) => string} */
export const busy = (id) => `busy/${id}`;
/**
 * A training on a part of the machine's cores, or on all of them.
 * @param {Quantities} q
 * @param {number} cores
 * @param {'F1C1' | 'full'} policy
 */
export const onCores = (q, cores, policy) =>
  cores === q.cores ? `train/${policy}/ort-tl` : `cores/${cores}/${policy}`;

/** @type {(result: Result) => number} */
export const bestTop1 = ({ epochs }) => Math.max(...epochs.map(({ top1 }) => top1));
