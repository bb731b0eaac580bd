// What was measured along an axis, in numbers.
import { ratio, spreadOf } from '../../dist/bench/statistics.js';
import { reading } from '../peers/result.js';
import { laterSeconds } from '../peers/training.js';
import { trainingsOf } from './axes.js';

/** @import { Spread } from '../../dist/bench/statistics.js' */
/** @import { MachineRecords } from '../machine.js' */
/** @import { Quantity, Result } from '../peers/result.js' */
/** @import { Axis } from './axes.js' */
/** @typedef {{ title: string, spread: Spread | undefined }} MeasuredNumber */
/** @typedef {{ value: string | number, policy: string, machine: string, numbers: readonly MeasuredNumber[] }} Measured */

/** @type {(seconds: number, result: Result) => number} */
const perPhoto = (seconds, { trainPhotos }) => (1000 * seconds) / trainPhotos;
/** @param {Result} result */
const firstSeconds = ({ epochs }) => epochs[0]?.seconds ?? NaN;
/** @type {Readonly<Record<string, Quantity>>} */
const quantities = {
  'first epoch, s': firstSeconds,
  'a later epoch, s': ({ epochs }) => laterSeconds(epochs),
  'first epoch, ms a photo': (result) => perPhoto(firstSeconds(result), result),
  'a later epoch, ms a photo': (result) => perPhoto(laterSeconds(result.epochs), result),
  'peak memory, MB': ({ peakRssBytes }) => peakRssBytes / 1e6,
};
/**
 * Where the photos grow, an epoch's time does; elsewhere the time for one photo says more.
 * @param {Axis} axis
 */
const quantitiesOf = ({ name }) =>
  Object.entries(quantities).filter(
    ([title]) => title.includes('memory') || title.endsWith(', s') === (name === 'images'),
  );

/** By how many times more cores make something faster.
 * @type {Readonly<Record<string, Quantity>>} */
const gains = {
  'first epoch, times as fast': firstSeconds,
  'a later epoch, times as fast': ({ epochs }) => laterSeconds(epochs),
};
/** @type {Quantity} */
const coresUsed = ({ cpuS, processS }) => (cpuS ?? NaN) / (processS ?? NaN);

/**
 * @param {Axis} axis
 * @param {MachineRecords} machine
 * @returns {Measured[]}
 */
export function measuredOf(axis, { records, setting, heading }) {
  const trainings = trainingsOf(axis);
  /** @type {(id: string, quantity: Quantity) => ReadonlyMap<number, number>} */
  const values = (id, quantity) => records.values(id, setting, reading(quantity));
  return trainings.flatMap(({ point, policy, id }) => {
    if (!records.result(id, setting)) return [];
    const numbers = quantitiesOf(axis).map(([title, quantity]) => ({ title, values: values(id, quantity) }));
    const one = trainings.find((each) => each.policy === policy)?.id ?? id;
    if (axis.isOfCores) {
      for (const [title, quantity] of Object.entries(gains))
        numbers.push({ title, values: ratio(values(one, quantity), values(id, quantity)) });
      numbers.push({ title: 'cores used', values: values(id, coresUsed) });
    }
    return [
      {
        value: point.shown,
        policy,
        machine: heading,
        numbers: numbers.map(({ title, values }) => ({ title, spread: spreadOf([...values.values()]) })),
      },
    ];
  });
}

/**
 * What more cores could bring at best, for the plots.
 * @param {Axis} axis
 * @returns {Measured[]}
 */
export function perfectOf(axis) {
  if (!axis.isOfCores) return [];
  return axis.points.map(({ shown }) => {
    const value = Number(shown);
    const spread = { median: value, min: value, max: value, count: 1 };
    return { value, policy: 'perfect', machine: '', numbers: Object.keys(gains).map((title) => ({ title, spread })) };
  });
}
