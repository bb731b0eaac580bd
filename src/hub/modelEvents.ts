/** What happens while a model is found by its name. */
export type ModelEvent =
  /** Before the first byte: how much is to be loaded; undefined where the server does not say. */
  | { readonly type: 'pulling'; readonly what: string; readonly bytes: number | undefined }
  | { readonly type: 'progress'; readonly file: string; readonly done: number; readonly total: number | undefined }
  /** What it waits for: another process, or a server that is to be asked again. */
  | { readonly type: 'waiting'; readonly reason: string }
  /** What whoever pulls should know of what was pulled. */
  | { readonly type: 'note'; readonly text: string };

/** What a model's name stands for. */
export interface ResolvedModel {
  /** The ONNX file. */
  readonly path: string;
  readonly kind: 'file' | 'run' | 'embedded' | 'hub' | 'address';
  /** What names it from any folder: the name that was given, or the whole path of a file or a run. */
  readonly reference: string;
  /** A short name of it, for folders. */
  readonly title: string;
}
