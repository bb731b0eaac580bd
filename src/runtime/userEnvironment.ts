import { POOL_VARIABLE, wantedPoolSize } from '../threadPool.js';
import { chosenByUser, TELEMETRY_VARIABLE } from './telemetry.js';

/**
 * Set by the first line of `cli/start.ts`, for glibc: pieces of memory of this size and more go back to the system when they are freed. Else
 * glibc raises the size as sessions come and go, and what ended ones took stays with the process.
 */
export const ALLOCATION = { name: 'MALLOC_MMAP_THRESHOLD_', value: '262144' } as const;

/** The environment as the user has set it, for commands of his. */
export function userEnvironment(): NodeJS.ProcessEnv {
  const ours: NodeJS.ProcessEnv = { [ALLOCATION.name]: ALLOCATION.value, [POOL_VARIABLE]: String(wantedPoolSize()) };
  const theirs = Object.entries(process.env).filter(([name, value]) => ours[name] !== value);
  return { ...Object.fromEntries(theirs), ...(chosenByUser ? {} : { [TELEMETRY_VARIABLE]: undefined }) };
}
