import { chosenByUser, TELEMETRY_VARIABLE } from './telemetry.js';

/**
 * Set by the first line of `cli/main.ts`, for glibc: pieces of memory of this size and more go back to the system when they are freed. Else
 * glibc raises the size as sessions come and go, and what ended ones took stays with the process.
 */
export const ALLOCATION = { name: 'MALLOC_MMAP_THRESHOLD_', value: '262144' } as const;

/** The environment as the user has set it, for commands of his. */
export function userEnvironment(): NodeJS.ProcessEnv {
  const isOurs = process.env[ALLOCATION.name] === ALLOCATION.value;
  return {
    ...process.env,
    ...(chosenByUser ? {} : { [TELEMETRY_VARIABLE]: undefined }),
    ...(isOurs ? { [ALLOCATION.name]: undefined } : {}),
  };
}
