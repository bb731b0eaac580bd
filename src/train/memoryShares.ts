import type { Manifest } from '../artifacts/manifest.js';
import { IN_MEMORY_BYTES } from '../runtime/slots.js';
import { processBytes, trainingBytes } from './compileWithin.js';

/** How a limit is shared. */
export interface MemoryShares {
  /** What the sessions of the frozen part may take together; there is one, be it ever so little. */
  readonly sessionsBytes: number;
  /** Rows of the feature cache that may be kept in memory too. */
  readonly inMemoryBytes: number;
  /** What sessions of the evaluation beside the first may take together. */
  readonly evaluationBytes: number;
}

interface Sharing {
  /** Photos whose boundary is kept. */
  readonly slots: number;
  readonly memoryBytes: number;
  /** Whether the rows are on the disk; else all are in memory. */
  readonly isCached: boolean;
  /** Whether the frozen part runs again in every epoch. */
  readonly newViews: boolean;
}

/** Shares a limit: sessions come before rows, which are read from the disk sooner than computed. */
export function memoryShares(
  manifest: Pick<Manifest, 'cost' | 'parameters' | 'sessions'>,
  { slots, memoryBytes, isCached, newViews }: Sharing,
): MemoryShares {
  const { always, firstSession, session, steps } = trainingBytes(manifest);
  const rows = isCached ? 0 : slots * manifest.cost.boundaryBytes;
  const furtherBytes = Math.max(0, memoryBytes - always - firstSession - rows - (newViews ? steps : 0));
  const further = session > 0 ? Math.floor(furtherBytes / session) : 0;
  const besideSteps = memoryBytes - processBytes(manifest, { newViews });
  // They stay while steps are taken, too.
  const inMemoryBytes = Math.max(0, Math.min(IN_MEMORY_BYTES, furtherBytes - further * session, besideSteps));
  const stay = inMemoryBytes + rows + (newViews ? further * session : 0);
  return {
    sessionsBytes: session * (1 + further),
    inMemoryBytes,
    evaluationBytes: Math.max(0, besideSteps - stay),
  };
}
