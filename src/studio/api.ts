/**
 * What the studio's server and its page say to each other: JSON over HTTP, types alone. Paths of photos are relative to the folder of photos,
 * with `/` between their parts. Shares and probabilities are from 0 to 1. An error is `{ error: ApiError }` with a status of 400 and up.
 *
 *     GET    /api/events                        server-sent events, each a `StudioEvent`; all that is known comes first
 *     GET    /api/photos?class=C                `PhotoList`
 *     PUT    /api/photos?class=C&name=N         the bytes of a photo → `Added`
 *     POST   /api/archive?class=C&name=N        the bytes of a zip file; class folders inside make classes, else all go to C → `ArchiveAdded`
 *     POST   /api/photos/move                   `{ paths, to }` → `Moved`
 *     POST   /api/photos/delete                 `{ paths }` → `Binned`
 *     POST   /api/classes                       `{ name }` → `{}`
 *     POST   /api/classes/rename                `{ from, to, merge }` → `Moved`; refused where `to` exists unless `merge`
 *     POST   /api/classes/delete                `{ name }` → `Binned`
 *     POST   /api/bin/restore                   `{ bin }` → `Moved`
 *     POST   /api/bin/empty                     `{}` → `Emptied`; photos and runs that were deleted are gone for good then
 *     GET    /api/thumbnail?path=P&stamp=S      WebP, at most 192 pixels a side
 *     GET    /api/photo?path=P&stamp=S          the photo for a browser, at most 1600 pixels a side
 *     POST   /api/survey                        `SurveyReport`: duplicates, unreadable photos, imbalance
 *     POST   /api/settings                      `Partial<StudioChoices>` → `StudioChoices`
 *     GET    /api/cost?policy=P                 `Cost`
 *     POST   /api/jobs                          `JobRequest` → `Job`
 *     POST   /api/jobs/stop                     `{ id }` → `Job`; a training saves and can go on
 *     GET    /api/runs?name=R                   `RunDetails`
 *     POST   /api/runs/notes                    `{ name, notes }` → `{}`
 *     POST   /api/runs/delete                   `{ name }` → `{}`
 *     GET    /api/predictions?of=M              `Predictions`; M is `live` or the name of a run
 *     POST   /api/try?of=M&heat=1               the bytes of a photo → `Tried`
 *     GET    /api/heatmap?of=M&path=P&stamp=S   PNG
 *     GET    /api/export?name=E                 a zip file to download
 */

export interface ApiError {
  /** Stable, as in docs/errors.md. */
  readonly code: string;
  /** One line: what, where, what to do. */
  readonly message: string;
}

export type StudioEvent =
  | { readonly type: 'project'; readonly project: Project }
  | { readonly type: 'live'; readonly live: Live }
  | { readonly type: 'jobs'; readonly jobs: readonly Job[] }
  | { readonly type: 'runs'; readonly runs: readonly StudioRun[] };

export interface Project {
  /** The folder of photos, and that of runs, as they were named. */
  readonly data: string;
  readonly runs: string;
  readonly version: string;
  readonly settings: StudioChoices;
  /** What `settings.model` can be, beside paths. */
  readonly models: readonly string[];
  readonly classes: readonly StudioClass[];
  /** Grows with every change of the photos. */
  readonly revision: number;
  /** Why these photos cannot be trained on yet: one line. */
  readonly problem?: string;
  /** Of what is otherwise than one may think, a line each. */
  readonly warnings?: readonly string[];
  /** What was recommended last, also before the studio was started: when, in ms since 1970, and by which line. */
  readonly recommended?: {
    readonly at: number;
    readonly command: string;
    readonly recommendation: StudioRecommendation;
  };
  /** The one that was made last comes last. */
  readonly bin: readonly { readonly bin: string; readonly what: string; readonly photos: number }[];
  /** How much of the disk that takes, with the runs that were deleted. */
  readonly binBytes?: number;
}

/** Kept in `studio.json` among the runs. */
export interface StudioChoices {
  /** What trains: a name, a file, or a run. */
  readonly model: string;
  /** Whether a head is trained as photos come. */
  readonly live: boolean;
}

export interface StudioClass {
  readonly name: string;
  readonly photos: number;
  /** How many of them validate. */
  readonly validate: number;
  /** How many are kept for testing. */
  readonly test: number;
}

export type StudioSplit = 'train' | 'validate' | 'test';

export interface StudioPhoto {
  readonly path: string;
  readonly split: StudioSplit;
  /** Changes with the file, so that what was loaded of it can be kept. */
  readonly stamp: string;
}

export interface PhotoList {
  readonly class: string;
  readonly revision: number;
  readonly photos: readonly StudioPhoto[];
}

export interface Added {
  /** `duplicate`: the class has a photo of the same bytes, under `path`, and no other is written. */
  readonly outcome: 'added' | 'duplicate';
  readonly path: string;
}

export interface ArchiveAdded {
  readonly added: number;
  readonly duplicates: number;
  readonly refused: readonly { readonly name: string; readonly reason: string }[];
  /** A line each about what else was left out. */
  readonly warnings: readonly string[];
}

export interface Moved {
  readonly moved: number;
  /** Where they lie now, so that they can be moved back. */
  readonly paths?: readonly string[];
}

export interface Binned {
  /** What gives it back. */
  readonly bin: string;
  readonly photos: number;
}

export interface Emptied {
  readonly bytes: number;
}

export interface SurveyReport {
  readonly unreadable: readonly { readonly path: string; readonly reason: string }[];
  /** Photos of the same content. */
  readonly duplicates: readonly (readonly {
    readonly path: string;
    readonly class: string;
    readonly stamp?: string;
  }[])[];
  /** A line each. */
  readonly warnings: readonly string[];
}

/** The head that is trained as photos come. */
export interface Live {
  readonly state: 'off' | 'waiting' | 'loading' | 'features' | 'training' | 'ready' | 'failed';
  /** Photos whose features are there, of all. */
  readonly done: number;
  readonly total: number;
  /** Why it waits, or what failed: one line. */
  readonly message?: string;
  readonly result?: LiveResult;
}

export interface LiveResult {
  /** Of the photos that it has seen. */
  readonly revision: number;
  readonly trainPhotos: number;
  readonly valPhotos: number;
  /** Of the photos that validate, with its interval of 95 %. */
  readonly top1: number;
  readonly interval: readonly [number, number];
  readonly elapsedMs: number;
}

export interface Predictions {
  readonly classes: readonly string[];
  /** Those that validate, and are still where they were. */
  readonly photos: readonly Prediction[];
}

export interface Prediction {
  readonly path: string;
  readonly stamp: string;
  /** Places among the classes. */
  readonly label: number;
  readonly predicted: number;
  /** Of what was predicted. */
  readonly probability: number;
}

export interface Tried {
  /** The likeliest first. */
  readonly classes: readonly { readonly label: string; readonly probability: number }[];
  /** A PNG as a data URL, where it was asked for. */
  readonly heatMap?: string;
  readonly elapsedMs: number;
}

export interface Cost {
  readonly parameters: number;
  readonly trainableParameters: number;
  readonly memoryBytes: number;
  /** By what this machine has measured; absent where it has measured nothing yet. */
  readonly firstEpochMs?: number;
  readonly laterEpochMs?: number;
}

export type JobRequest =
  | { readonly kind: 'train'; readonly policy: string; readonly epochs?: number; readonly flags?: Flags }
  | { readonly kind: 'resume'; readonly run: string }
  | { readonly kind: 'recommend' }
  | { readonly kind: 'export'; readonly run: string; readonly form: ExportForm };

/** Flags of `ort-tl train` without their dashes. */
export type Flags = Readonly<Record<string, string | number | boolean>>;

export type ExportForm = 'fp32' | 'fp16' | 'int8' | 'web' | 'transformers-js' | 'delta';

export interface Job {
  readonly id: string;
  readonly kind: JobRequest['kind'];
  /** The line for a terminal that does the same. */
  readonly command: string;
  readonly state: 'waiting' | 'running' | 'stopping' | 'done' | 'stopped' | 'failed';
  readonly progress?: { readonly phase: string; readonly done: number; readonly total: number };
  readonly elapsedMs: number;
  /** Of a training: what it writes, and its epochs so far. */
  readonly run?: string;
  readonly epochs?: number;
  readonly results?: readonly EpochPoint[];
  /** Of a recommendation. */
  readonly recommendation?: StudioRecommendation;
  /** Of an export: what can be downloaded. */
  readonly exported?: Exported;
  /** What failed: one line. */
  readonly message?: string;
}

export interface EpochPoint {
  readonly epoch: number;
  readonly trainLoss: number;
  readonly valLoss: number;
  readonly trainTop1?: number;
  readonly top1: number;
}

export interface StudioRecommendation {
  readonly policy: string;
  readonly reason: string;
  readonly policies: readonly {
    readonly policy: string;
    readonly top1?: number;
    readonly interval?: readonly [number, number];
    readonly predictedMs?: number;
    readonly memoryBytes?: number;
    readonly energyJ?: number;
    /** Why it is chosen, or not. */
    readonly verdict: string;
  }[];
}

export interface Exported {
  readonly name: string;
  readonly bytes: number;
  /** Absent of a delta. */
  readonly agreement?: number;
  readonly photos?: number;
  readonly top1?: number;
  readonly latencyMs?: number;
}

export interface StudioRun {
  readonly name: string;
  /** When its summary was written, in ms since 1970. */
  readonly at: number;
  readonly policy: string;
  readonly model: string;
  readonly epochs: number;
  readonly top1?: number;
  readonly interval?: readonly [number, number];
  readonly elapsedMs: number;
  readonly peakRssBytes: number;
  readonly energyJ?: number;
  /** Whether it was stopped, and can go on. */
  readonly stopped: boolean;
  /** What is damaged or missing in its folder: one line. */
  readonly problem?: string;
  readonly notes: string;
}

export interface RunDetails extends StudioRun {
  /** The line for a terminal that trains the same again. */
  readonly command: string;
  readonly results: readonly EpochPoint[];
  readonly classes: readonly {
    readonly name: string;
    readonly photos: number;
    readonly precision?: number;
    readonly recall?: number;
    readonly f1?: number;
  }[];
  readonly warnings: readonly string[];
}
