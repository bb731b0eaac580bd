import { batch } from '@preact/signals';

/** Pictures that the server has to compute, a few at a time, so that other requests find a connection. */
const AT_ONCE = 2;
const waiting: PictureLoad[] = [];
let loading = 0;

/** A picture that passes by while one scrolls quickly is not asked for. */
const SEEN_FOR_MS = 150;
/** Those of one drawing come to it within a few ms of each other. */
const SAME_FRAME_MS = 16;
/** Pictures that are seen for less, the first of them first. */
const soon = new Map<PictureLoad, number>();
let timer: ReturnType<typeof setTimeout> | undefined;

/** A whole screen of pictures begins at once, and is drawn once. */
function beginDue(): void {
  timer = undefined;
  const now = performance.now();
  batch(() => {
    for (const [load, due] of soon) {
      if (due > now + SAME_FRAME_MS) break;
      soon.delete(load);
      load.comeToTurn();
    }
  });
  const [next] = soon.values();
  if (next !== undefined) timer = setTimeout(beginDue, next - now);
}

/** When a picture is asked for, and until when. */
export class PictureLoad {
  private state: 'idle' | 'waiting' | 'loading' | 'ended' = 'idle';

  /** @param told whether it is to be loaded now. */
  constructor(
    private readonly inTurn: boolean,
    private readonly told: (isLoading: boolean) => void,
  ) {}

  get isLoading(): boolean {
    return this.state === 'loading';
  }

  /** It is seen. */
  begin(): void {
    if (this.state !== 'idle') return;
    this.state = 'waiting';
    soon.set(this, performance.now() + SEEN_FOR_MS);
    timer ??= setTimeout(beginDue, SEEN_FOR_MS);
  }

  /** It has been seen for long enough. */
  comeToTurn(): void {
    if (!this.inTurn) this.start();
    else {
      waiting.push(this);
      PictureLoad.next();
    }
  }

  /** It has come, or has failed. */
  end(): void {
    const wasLoading = this.isLoading;
    this.state = 'ended';
    if (wasLoading) this.leave();
  }

  /** It is seen no more; what has come stays. */
  giveUp(): void {
    if (this.state === 'ended') return;
    soon.delete(this);
    const place = waiting.indexOf(this);
    if (place >= 0) waiting.splice(place, 1);
    const wasLoading = this.isLoading;
    this.state = 'idle';
    if (!wasLoading) return;
    this.told(false);
    this.leave();
  }

  private start(): void {
    this.state = 'loading';
    this.told(true);
  }

  private leave(): void {
    if (!this.inTurn) return;
    loading--;
    PictureLoad.next();
  }

  private static next(): void {
    while (loading < AT_ONCE) {
      const load = waiting.shift();
      if (!load) return;
      loading++;
      load.start();
    }
  }
}
