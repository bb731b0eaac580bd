/** Pictures that the server has to compute, a few at a time, so that other requests find a connection. */
const AT_ONCE = 2;
const waiting: PictureLoad[] = [];
let loading = 0;

/** A picture that passes by while one scrolls quickly is not asked for. */
const SEEN_FOR_MS = 60;

/** When a picture is asked for, and until when. */
export class PictureLoad {
  private state: 'idle' | 'waiting' | 'loading' | 'ended' = 'idle';
  private timer: ReturnType<typeof setTimeout> | undefined;

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
    this.timer = setTimeout(() => {
      if (!this.inTurn) this.start();
      else {
        waiting.push(this);
        PictureLoad.next();
      }
    }, SEEN_FOR_MS);
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
    clearTimeout(this.timer);
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
