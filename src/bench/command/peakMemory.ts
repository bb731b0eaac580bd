import { memoryOf } from './processTree.js';

/** How soon memory is looked at first, and how rarely at last. */
const FIRST_LOOK_MS = 2;
const LOOK_EVERY_MS = 100;
/** How long a command must run: at first it is still the shell's copy. */
const LEAST_MS = 10;
/** How many times as long as a look the pause after it is, so that looking costs little. */
const PAUSE_AFTER_LOOK = 50;

/** The memory of all processes of a command, looked at again and again. */
export class PeakMemory {
  private readonly began = performance.now();
  private peakBytes = 0;
  private pauseMs = FIRST_LOOK_MS;
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly processes: () => readonly number[]) {
    this.look();
  }

  /** Bytes; null where the command was not seen for long enough. */
  stop(): number | null {
    clearTimeout(this.timer);
    return this.peakBytes > 0 && performance.now() - this.began > LEAST_MS ? this.peakBytes : null;
  }

  private look(): void {
    const from = performance.now();
    let together = 0;
    for (const each of this.processes()) {
      const memory = memoryOf(each);
      together += memory?.nowBytes ?? 0;
      this.peakBytes = Math.max(this.peakBytes, memory?.peakBytes ?? 0);
    }
    this.peakBytes = Math.max(this.peakBytes, together);
    this.pauseMs = Math.min(LOOK_EVERY_MS, this.pauseMs * 1.5);
    this.timer = setTimeout(
      () => {
        this.look();
      },
      Math.max(this.pauseMs, PAUSE_AFTER_LOOK * (performance.now() - from)),
    );
  }
}
