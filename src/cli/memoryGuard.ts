import type { MachineError } from '../errors.js';
import { machineError } from '../machineError.js';
import type { MemoryLimit } from '../memoryLimit.js';

/** Where less than this share is left, the kernel is about to end a process of the group, without a word. */
const SPARE = 0.04;
/** The more is taken, the more often it is looked at, for the rest may be taken quickly. */
const looksEveryMs = (share: number) => (share < 0.5 ? 200 : share < 0.8 ? 50 : 5);

export const megabytes = (bytes: number) => `${Math.round(bytes / 1e6)} MB`;

/** Looks at what this process and others of its container take, and tells shortly before the limit is met. */
export function guardMemory(limit: MemoryLimit, tell: (error: MachineError) => void): void {
  const look = () => {
    const used = limit.used();
    const share = used / limit.bytes;
    if (share > 1 - SPARE)
      tell(
        machineError(
          'out-of-memory',
          `there is not enough memory: ${megabytes(used)} of the ${megabytes(limit.bytes)} that this container or control group may have are taken`,
        ),
      );
    else setTimeout(look, looksEveryMs(share)).unref();
  };
  look();
}
