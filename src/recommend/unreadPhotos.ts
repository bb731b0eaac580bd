import type { RecommendEvent } from './recommendation.js';

type Skipped = Extract<RecommendEvent, { type: 'skipped' }>;

/** Photos that could not be read: every policy meets them, and each is told of once. */
export class UnreadPhotos {
  private readonly met = new Set<string>();
  private waiting: Skipped[] = [];

  add({ path, reason }: { readonly path: string; readonly reason: string }): void {
    if (this.met.has(path)) return;
    this.met.add(path);
    this.waiting.push({ type: 'skipped', path, reason });
  }

  /** Those that were not told of yet. */
  take(): readonly RecommendEvent[] {
    const taken = this.waiting;
    this.waiting = [];
    return taken;
  }
}
