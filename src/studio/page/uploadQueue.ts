import { signal } from '@preact/signals';
import { client, isAbort, RequestError, wordsOf } from './client.js';
import type { SortedFile } from './droppedFiles.js';
import { texts } from './texts.js';

/** A file that waits, with the class that it is for. */
type Waiting = SortedFile & { readonly class: string };

export interface RefusedFile {
  readonly name: string;
  readonly reason: string;
}

export interface UploadState {
  readonly total: number;
  readonly done: number;
  readonly added: number;
  readonly duplicates: number;
  /** How many, and the first of them. */
  readonly refusedCount: number;
  readonly refused: readonly RefusedFile[];
  /** How many can be tried again, since the server did not answer. */
  readonly unsent: number;
  readonly isActive: boolean;
  /** The share of a zip file that has gone. */
  readonly archive?: { readonly name: string; readonly share: number };
}

const AT_ONCE = 4;
const SHOWN_EVERY_MS = 100;
/** So many refusals are listed. */
const LISTED = 200;
/** A server that is started again is there within that time. */
const RETRIES = 3;
const RETRY_AFTER_MS = 1000;

/** Pictures by their names, where a browser knows no type; the server says more of those that it does not read. */
const PICTURE =
  /\.(?:jpe?g|jfif|png|apng|webp|avif|tiff?|gif|bmp|hei[cf]|hif|jxl|jp2|dng|cr2|cr3|nef|arw|raf|orf|rw2)$/i;
const isPicture = ({ name, type }: File) => type.startsWith('image/') || PICTURE.test(name);
const isArchive = ({ name, type }: File) => /\.(?:zip|tm)$/i.test(name) || type === 'application/zip';

/** What is uploaded, and what came of it; undefined while there is nothing to tell. */
export const uploads = signal<UploadState | undefined>(undefined);

const none = () => ({ total: 0, done: 0, added: 0, duplicates: 0, refusedCount: 0 });
let tally = none();
let refused: RefusedFile[] = [];
let unsent: Waiting[] = [];
let queue: Waiting[] = [];
let next = 0;
let workers = 0;
let archive: UploadState['archive'];
let controller = new AbortController();
let timer: ReturnType<typeof setTimeout> | undefined;

function show(): void {
  timer ??= setTimeout(() => {
    timer = undefined;
    uploads.value = {
      ...tally,
      ...{ refused: refused.slice(0, LISTED), unsent: unsent.length, isActive: workers > 0 },
      ...(archive && { archive }),
    };
  }, SHOWN_EVERY_MS);
}

/** @param own its name in `reason`, where it is shown by a longer one. */
function refuse(name: string, reason: string, own = name): void {
  tally.refusedCount++;
  if (refused.length < LISTED) refused.push({ name, reason: texts.uploads.reason(own, reason) });
}

const pause = (ms: number, { signal }: AbortController) =>
  new Promise<void>((resolve) => {
    const waiting = setTimeout(resolve, ms);
    const leave = () => {
      clearTimeout(waiting);
      resolve();
    };
    signal.addEventListener('abort', leave, { once: true });
  });

async function sendOne(file: File, { class: name }: Waiting, { signal }: AbortController): Promise<void> {
  if (isArchive(file)) {
    const told = (share: number) => {
      archive = { name: file.name, share };
      show();
    };
    const { added, duplicates, refused: left, warnings } = await client.addArchive(name, file, told, signal);
    tally.added += added;
    tally.duplicates += duplicates;
    for (const each of left)
      refuse(`${file.name}: ${each.name}`, each.reason, each.name.slice(each.name.lastIndexOf('/') + 1));
    for (const warning of warnings) refuse(file.name, warning);
  } else if (isPicture(file)) {
    const { outcome } = await client.add(name, file, signal);
    if (outcome === 'added') tally.added++;
    else tally.duplicates++;
  } else refuse(file.name, texts.uploads.noPicture);
}

async function trySending(waiting: Waiting, cancel: AbortController): Promise<void> {
  for (let tries = 1; ; tries++)
    try {
      await sendOne(await waiting.open(), waiting, cancel);
      return;
    } catch (error) {
      if (isAbort(error) || cancel.signal.aborted) return;
      const isUnsent = error instanceof RequestError && error.status === 0;
      if (!isUnsent || tries > RETRIES) {
        if (isUnsent) unsent.push(waiting);
        refuse(waiting.name, wordsOf(error));
        return;
      }
      await pause(RETRY_AFTER_MS * tries, cancel);
    }
}

async function work(cancel: AbortController): Promise<void> {
  workers++;
  for (let waiting = queue[next]; waiting; waiting = queue[next]) {
    next++;
    await trySending(waiting, cancel);
    // Whoever gave up has counted anew.
    if (controller !== cancel) return;
    archive = undefined;
    tally.done++;
    show();
  }
  workers--;
  if (workers === 0) [queue, next] = [[], 0];
  show();
}

/** Uploads files beside those that are under way, four at a time. */
export function upload(files: readonly Waiting[]): void {
  if (workers === 0 && unsent.length === 0) [tally, refused] = [none(), []];
  for (const file of files) queue.push(file);
  tally.total += files.length;
  const wanted = Math.min(AT_ONCE, workers + queue.length - next);
  while (workers < wanted) void work(controller);
  show();
}

/** Gives up what waits and what is on its way; what the server has stays. */
export function cancelUploads(): void {
  controller.abort();
  controller = new AbortController();
  [queue, next, workers, archive] = [[], 0, 0, undefined];
  tally.total = tally.done;
  show();
}

/** Sends again what the server did not answer. */
export function uploadAgain(): void {
  const again = unsent;
  closeUploads();
  upload(again);
}

/** Forgets what came of the last ones. */
export function closeUploads(): void {
  [tally, refused, unsent] = [none(), [], []];
  clearTimeout(timer);
  timer = undefined;
  uploads.value = undefined;
}
