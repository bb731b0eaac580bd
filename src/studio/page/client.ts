import type {
  Added,
  ApiError,
  ArchiveAdded,
  Binned,
  Cost,
  Emptied,
  Job,
  JobRequest,
  Moved,
  PhotoList,
  Predictions,
  RunDetails,
  StudioChoices,
  SurveyReport,
  Tried,
} from '../api.js';
import { texts } from './texts.js';

/** The server refused, or it cannot be reached: then the status is 0. */
export class RequestError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly status: number,
  ) {
    super(message);
    this.name = 'RequestError';
  }
}

type Query = Readonly<Record<string, string | number>>;

/** Relative, so that the page works under any path. */
function address(path: string, query: Query = {}): string {
  const search = new URLSearchParams(Object.entries(query).map(([key, value]) => [key, String(value)]));
  return `api/${path}${search.size > 0 ? `?${search.toString()}` : ''}`;
}

/** The words of the server, or of the page where what answered was not the studio. */
function refusal(status: number, body: unknown): RequestError {
  const error = (body as { readonly error?: Partial<ApiError> } | null)?.error;
  return new RequestError(error?.code ?? 'no-answer', error?.message ?? texts.errors.status(status), status);
}

const unreachable = () => new RequestError('unreachable', texts.errors.unreachable, 0);

/** `null` where it is not JSON. */
const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
};

/**
 * What the server answers. Page and server are of one version, and `api.ts` is checked on both sides, so that nothing is checked here.
 * @throws RequestError; what an abort throws, where `signal` aborts.
 */
async function request<Reply>(method: string, path: string, options: RequestInit & { query?: Query } = {}) {
  const { query, ...init } = options;
  let [response, text]: [Response | undefined, string] = [undefined, ''];
  try {
    response = await fetch(address(path, query), { method, ...init });
    text = await response.text();
  } catch (error) {
    throw isAbort(error) ? error : unreachable();
  }
  const body = parsed(text);
  if (!response.ok || body === null) throw refusal(response.status, body);
  return body as Reply;
}

const get = <Reply>(path: string, query: Query, signal?: AbortSignal) =>
  request<Reply>('GET', path, { query, signal: signal ?? null });

const post = <Reply>(path: string, body: unknown) =>
  request<Reply>('POST', path, { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } });

/** Bytes whose way can be watched, which fetch cannot: `told` gets the share that has gone. */
function send<Reply>(url: string, body: Blob, told: (share: number) => void, signal: AbortSignal): Promise<Reply> {
  return new Promise<Reply>((resolve, reject) => {
    const sending = new XMLHttpRequest();
    sending.open('POST', url);
    sending.setRequestHeader('content-type', 'application/zip');
    sending.upload.onprogress = ({ loaded, total }) => told(total > 0 ? loaded / total : 0);
    sending.onload = () => {
      const reply = parsed(sending.responseText);
      if (sending.status >= 200 && sending.status < 300 && reply !== null) resolve(reply as Reply);
      else reject(refusal(sending.status, reply));
    };
    sending.onerror = () => reject(unreachable());
    sending.onabort = () => reject(new DOMException('', 'AbortError'));
    signal.addEventListener('abort', () => sending.abort(), { once: true });
    sending.send(body);
  });
}

/** Each request by a name; what they give stands in `api.ts`. */
export const client = {
  photos: (name: string, signal: AbortSignal) => get<PhotoList>('photos', { class: name }, signal),
  add: (name: string, file: File, signal: AbortSignal) =>
    request<Added>('PUT', 'photos', { query: { class: name, name: file.name }, body: file, signal }),
  addArchive: (name: string, file: File, told: (share: number) => void, signal: AbortSignal) =>
    send<ArchiveAdded>(address('archive', { class: name, name: file.name }), file, told, signal),
  move: (paths: readonly string[], to: string) => post<Moved>('photos/move', { paths, to }),
  bin: (paths: readonly string[]) => post<Binned>('photos/delete', { paths }),
  emptyBin: () => post<Emptied>('bin/empty', {}),
  restore: (bin: string) => post<Moved>('bin/restore', { bin }),
  addClass: (name: string) => post<object>('classes', { name }),
  renameClass: (from: string, to: string, merge: boolean) => post<Moved>('classes/rename', { from, to, merge }),
  binClass: (name: string) => post<Binned>('classes/delete', { name }),
  survey: () => post<SurveyReport>('survey', {}),
  change: (settings: Partial<StudioChoices>) => post<StudioChoices>('settings', settings),
  cost: (policy: string, signal: AbortSignal) => get<Cost>('cost', { policy }, signal),
  start: (job: JobRequest) => post<Job>('jobs', job),
  stop: (id: string) => post<Job>('jobs/stop', { id }),
  run: (name: string, signal?: AbortSignal) => get<RunDetails>('runs', { name }, signal),
  note: (name: string, notes: string) => post<object>('runs/notes', { name, notes }),
  deleteRun: (name: string) => post<object>('runs/delete', { name }),
  predictions: (of: string, signal: AbortSignal) => get<Predictions>('predictions', { of }, signal),
  classify: (of: string, photo: Blob, heat: boolean, signal: AbortSignal) =>
    request<Tried>('POST', 'try', { query: { of, heat: heat ? 1 : 0 }, body: photo, signal }),
};

interface Seen {
  readonly path: string;
  readonly stamp: string;
}

export const thumbnailOf = ({ path, stamp }: Seen): string => address('thumbnail', { path, stamp });
export const photoOf = ({ path, stamp }: Seen): string => address('photo', { path, stamp });
export const heatMapOf = (of: string, { path, stamp }: Seen): string => address('heatmap', { of, path, stamp });
export const exportOf = (name: string): string => address('export', { name });
export const EVENTS = address('events');

/** Whether somebody gave up, which is no failure. */
export const isAbort = (error: unknown): boolean => error instanceof DOMException && error.name === 'AbortError';

/** What to tell of whatever was thrown. */
export const wordsOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
