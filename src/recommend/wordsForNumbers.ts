/** 0.0123 is 1.2 points. */
export const points = (share: number) => `${(100 * Math.abs(share)).toFixed(1)} points`;
export const times = (ratio: number) => `${ratio.toPrecision(2)} times`;
export const percent = (share: number) => `${(100 * share).toPrecision(2)} %`;
export const joules = (value: number) => `${value.toPrecision(3)} J`;

export function seconds(ms: number): string {
  return ms < 60_000 ? `${(ms / 1000).toPrecision(2)} s` : `${(ms / 60_000).toPrecision(2)} min`;
}
