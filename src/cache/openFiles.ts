import { closeSync, openSync } from 'node:fs';
import { machineErrorOf } from '../machineError.js';

interface OpenFile {
  readonly descriptor: number;
  /** Reads that are under way. */
  users: number;
}

/** Files that are read, opened when they are needed; few are open at once, of which the ones used last stay open. */
export class OpenFiles {
  /** By path, the one used last at the end. */
  private readonly open = new Map<string, OpenFile>();
  private readonly waiting: (() => void)[] = [];

  constructor(private readonly most: number) {}

  /** Opens `path` for `read`. @throws as `openSync` does, and MachineError where no more files can be opened. */
  async use<T>(path: string, read: (descriptor: number) => Promise<T>): Promise<T> {
    const file = await this.take(path);
    try {
      return await read(file.descriptor);
    } finally {
      file.users--;
      this.waiting.shift()?.();
    }
  }

  /** Closes all, when what is under way has ended. */
  async close(): Promise<void> {
    while (this.open.size > 0) if (!this.closeIdle()) await this.released();
  }

  private async take(path: string): Promise<OpenFile> {
    while (true) {
      const known = this.open.get(path);
      if (known || this.open.size < this.most || this.closeIdle()) {
        const file = known ?? this.openFile(path);
        if (file) {
          this.open.delete(path);
          this.open.set(path, file);
          file.users++;
          return file;
        }
      }
      await this.released();
    }
  }

  /** Undefined where there is room for no more files but there will be. */
  private openFile(path: string): OpenFile | undefined {
    try {
      return { descriptor: openSync(path, 'r'), users: 0 };
    } catch (thrown) {
      const machine = machineErrorOf(thrown);
      if (!machine) throw thrown;
      // Those that lie idle make room.
      if (this.closeIdle()) return this.openFile(path);
      if (this.open.size > 0) return undefined;
      throw machine;
    }
  }

  /** When a read has ended. */
  private released(): Promise<void> {
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  /** Closes the file that was used longest ago, of those that nobody reads. Tells whether there was one. */
  private closeIdle(): boolean {
    for (const [path, { descriptor, users }] of this.open) {
      if (users > 0) continue;
      closeSync(descriptor);
      this.open.delete(path);
      return true;
    }
    return false;
  }
}
