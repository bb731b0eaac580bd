import { type FSWatcher, watch } from 'node:fs';
import { stat } from 'node:fs/promises';

/** Changes in folders that are told together. */
const SETTLE_MS = 2000;
/** Folders that the system tells of; it has few such watches for each user. */
const MOST_WATCHED = 200;

/**
 * Notices what other programs change in folders. The system tells of it where it can; since it cannot everywhere, as on a network's disk,
 * the times of the folders are looked at, too.
 */
export class FolderWatch {
  private readonly watchers = new Map<string, FSWatcher>();
  private readonly times = new Map<string, number>();
  private readonly poll: NodeJS.Timeout;
  private isChanged = false;
  private isLooking = false;
  private isClosed = false;

  /** @param onChange called at most every two seconds. */
  constructor(private readonly onChange: () => void) {
    this.poll = setInterval(() => void this.look(), SETTLE_MS);
    this.poll.unref();
  }

  /** Watches these folders, and no others, from now on. */
  watch(folders: readonly string[]): void {
    if (this.isClosed) return;
    const wanted = new Set(folders);
    for (const folder of this.times.keys()) if (!wanted.has(folder)) this.times.delete(folder);
    for (const [folder, watcher] of this.watchers)
      if (!wanted.has(folder)) {
        watcher.close();
        this.watchers.delete(folder);
      }
    for (const folder of folders) {
      if (!this.times.has(folder)) this.times.set(folder, NaN);
      if (!this.watchers.has(folder) && this.watchers.size < MOST_WATCHED) this.begin(folder);
    }
  }

  close(): void {
    this.isClosed = true;
    clearInterval(this.poll);
    for (const watcher of this.watchers.values()) watcher.close();
    this.watchers.clear();
  }

  private begin(folder: string): void {
    try {
      const watcher = watch(folder, { persistent: false }, () => {
        this.isChanged = true;
      });
      watcher.on('error', () => {
        watcher.close();
        this.watchers.delete(folder);
        this.isChanged = true;
      });
      this.watchers.set(folder, watcher);
    } catch {
      // There are no more watches, or the folder has gone: its time tells.
    }
  }

  private async look(): Promise<void> {
    // A disk of a network may take its time.
    if (this.isLooking) return;
    this.isLooking = true;
    for (const [folder, before] of this.times) {
      const time = await stat(folder).then(
        ({ mtimeMs }) => mtimeMs,
        () => 0,
      );
      if (!Number.isNaN(before) && time !== before) this.isChanged = true;
      if (this.times.has(folder)) this.times.set(folder, time);
    }
    this.isLooking = false;
    if (!this.isChanged || this.isClosed) return;
    this.isChanged = false;
    this.onChange();
  }
}
