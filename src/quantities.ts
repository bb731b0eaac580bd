import { UserError } from './errors.js';

const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Milliseconds of a duration such as `90s`, `10m`, `1.5h`; a bare number counts seconds. @throws UserError `bad-arguments`. */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|min|h|d)?$/.exec(text.trim());
  const milliseconds = match && Number(match[1]) * (UNITS[match[2] ?? 's'] ?? NaN);
  if (milliseconds !== null && milliseconds > 0) return milliseconds;
  throw new UserError('bad-arguments', `expected a duration such as 90s, 10m or 1.5h, got \`${text}\``);
}

const SIZES: Readonly<Record<string, number>> = { '': 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12 };

/** Bytes of a size such as `500MB` or `5GB`. @throws UserError `bad-arguments`. */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgt]?)b?$/i.exec(text.trim());
  if (match) return Number(match[1]) * (SIZES[(match[2] ?? '').toLowerCase()] ?? NaN);
  throw new UserError('bad-arguments', `expected a size such as 500MB or 5GB, got \`${text}\``);
}

/** Bytes of a size of memory; a bare number counts megabytes. @throws UserError `bad-arguments`. */
export function parseMemory(text: string): number {
  return parseSize(/^[\d.]+$/.test(text) ? `${text}MB` : text);
}

/** Joules of an energy such as `500J`, `2kJ` or `0.1Wh`; a bare number counts joules. @throws UserError `bad-arguments`. */
export function parseJoules(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(k?)(j|wh)?$/i.exec(text.trim());
  const [, amount, thousand, unit = 'j'] = match ?? [];
  const energy = Number(amount) * (thousand ? 1000 : 1) * (unit.toLowerCase() === 'wh' ? 3600 : 1);
  if (match && energy > 0) return energy;
  throw new UserError('bad-arguments', `expected an energy such as 500J, 2kJ or 0.1Wh, got \`${text}\``);
}
