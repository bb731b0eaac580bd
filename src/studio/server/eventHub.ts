import type { StudioEvent } from '../api.js';

/** A kind of event is sent at most every so many ms; what came in between is not missed, since each tells all. */
const SPACING_MS = 200;
/** So often something is sent, for whoever lies in between to know that the connection lives. */
const HEARTBEAT_MS = 15_000;
/** After how many ms a browser connects again. */
const RETRY_MS = 1000;

type EventType = StudioEvent['type'];

/** Tells all pages what is so now: each hears all that is known when it comes, and each change after that. */
export class EventHub {
  /** The newest of each kind. */
  private readonly known = new Map<EventType, StudioEvent>();
  private readonly lastSent = new Map<EventType, number>();
  private readonly timers = new Map<EventType, NodeJS.Timeout>();
  private readonly listeners = new Set<Listener>();

  /** How many pages listen. */
  get size(): number {
    return this.listeners.size;
  }

  publish(event: StudioEvent): void {
    const { type } = event;
    this.known.set(type, event);
    if (this.timers.has(type)) return;
    const wait = (this.lastSent.get(type) ?? -Infinity) + SPACING_MS - performance.now();
    if (wait <= 0) this.send(type);
    else {
      const timer = setTimeout(() => {
        this.send(type);
      }, wait);
      timer.unref();
      this.timers.set(type, timer);
    }
  }

  /** Server-sent events, each a `StudioEvent` as JSON, until who reads them leaves, or the hub closes. */
  stream(): ReadableStream<Uint8Array> {
    const listener = new Listener(this.known.values(), () => this.listeners.delete(listener));
    this.listeners.add(listener);
    return listener.stream;
  }

  close(): void {
    for (const timer of this.timers.values()) clearTimeout(timer);
    this.timers.clear();
    for (const each of [...this.listeners]) each.close();
  }

  private send(type: EventType): void {
    clearTimeout(this.timers.get(type));
    this.timers.delete(type);
    this.lastSent.set(type, performance.now());
    const event = this.known.get(type);
    if (event) for (const each of this.listeners) each.add(event);
  }
}

/** One page. Who reads slowly gets the newest of each kind, and nothing is kept for it beside that. */
class Listener {
  readonly stream: ReadableStream<Uint8Array>;
  private readonly waiting = new Map<EventType, StudioEvent>();
  private readonly heartbeat: NodeJS.Timeout;
  private readonly encoder = new TextEncoder();
  private controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  private isReady = false;

  constructor(
    first: Iterable<StudioEvent>,
    private readonly onEnd: () => void,
  ) {
    for (const event of first) this.waiting.set(event.type, event);
    this.heartbeat = setInterval(() => {
      if (this.isReady) this.write(':\n\n');
    }, HEARTBEAT_MS);
    this.heartbeat.unref();
    this.stream = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.controller = controller;
        controller.enqueue(this.encoder.encode(`retry: ${RETRY_MS}\n\n`));
      },
      pull: () => {
        this.isReady = true;
        this.flush();
      },
      cancel: () => {
        this.end();
      },
    });
  }

  add(event: StudioEvent): void {
    this.waiting.set(event.type, event);
    this.flush();
  }

  close(): void {
    this.end();
    this.controller?.close();
  }

  private flush(): void {
    if (!this.isReady || this.waiting.size === 0) return;
    const events = [...this.waiting.values()];
    this.waiting.clear();
    this.write(events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join(''));
  }

  private write(text: string): void {
    this.isReady = false;
    this.controller?.enqueue(this.encoder.encode(text));
  }

  private end(): void {
    clearInterval(this.heartbeat);
    this.onEnd();
  }
}
