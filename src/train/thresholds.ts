import { z } from 'zod';

const schema = z.array(z.number());

/** The thresholds that a checkpoint's metadata has; undefined where photos have one class, or none were found yet. */
export function readThresholds({ thresholds }: Readonly<Record<string, string>>): number[] | undefined {
  if (thresholds === undefined) return undefined;
  try {
    return schema.parse(JSON.parse(thresholds));
  } catch {
    return undefined;
  }
}
