/** Numbers, times and sizes as text. A number and its unit stay on one line. */
const LOCALE = 'en';
const SPACE = '\u00a0';
const wholeNumber = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 0 });
const dateAndTime = new Intl.DateTimeFormat(LOCALE, { dateStyle: 'medium', timeStyle: 'short', hourCycle: 'h23' });

/** `12,345` */
export const inFull = (value: number): string => wholeNumber.format(value);

/** A share from 0 to 1 as `93.1 %`. */
export const percent = (share: number, digits = 1): string => `${(100 * share).toFixed(digits)}${SPACE}%`;

/** `88.0–96.2 %` */
export const percentRange = ([low, high]: readonly [number, number]): string =>
  `${(100 * low).toFixed(1)}–${(100 * high).toFixed(1)}${SPACE}%`;

/** Decimal units, as the command line has them: `16.3 MB`. */
export function inBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let [value, unit] = [bytes, 0];
  for (; value >= 999.5 && unit < units.length - 1; unit++) value /= 1000;
  return `${value.toFixed(unit === 0 || value >= 99.95 ? 0 : 1)}${SPACE}${units[unit] ?? ''}`;
}

/** `80 ms`, `2.5 s`, `40 s`, `3 min 20 s`, `2 h 5 min` */
export function inTime(ms: number): string {
  if (ms < 100) return `${Math.round(ms)}${SPACE}ms`;
  if (ms < 9950) return `${(ms / 1000).toFixed(1)}${SPACE}s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds}${SPACE}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}${SPACE}min${seconds % 60 > 0 ? ` ${seconds % 60}${SPACE}s` : ''}`;
  return `${Math.floor(minutes / 60)}${SPACE}h${minutes % 60 > 0 ? ` ${minutes % 60}${SPACE}min` : ''}`;
}

/** `1.2 kJ` */
export const inJoules = (joules: number): string =>
  joules < 1000 ? `${joules.toPrecision(3)}${SPACE}J` : `${(joules / 1000).toPrecision(3)}${SPACE}kJ`;

/** A time in ms since 1970, as a date and a time of day. */
export const inDate = (at: number): string => dateAndTime.format(at);
