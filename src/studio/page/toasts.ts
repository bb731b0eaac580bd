import { signal } from '@preact/signals';
import { isAbort, wordsOf } from './client.js';

export interface Toast {
  readonly id: number;
  readonly text: string;
  readonly isError: boolean;
  readonly action?: { readonly label: string; readonly run: () => void };
}

/** A message stays so long, unless somebody points at it; an error stays until it is closed. */
export const SHOWN_MS = 8000;
/** Older ones make way. */
const MOST = 4;

export const toasts = signal<readonly Toast[]>([]);
let last = 0;

function show(toast: Omit<Toast, 'id'>): void {
  const others = toasts.value.filter(({ text, isError }) => text !== toast.text || isError !== toast.isError);
  toasts.value = [...others, { ...toast, id: ++last }].slice(-MOST);
}

export function close(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}

/** Tells what happened, with a button for what can be done about it. */
export function say(text: string, action?: Toast['action']): void {
  show({ text, isError: false, ...(action && { action }) });
}

/** Tells what went wrong; nothing where somebody gave up. */
export function complain(error: unknown): void {
  if (!isAbort(error)) show({ text: wordsOf(error), isError: true });
}

/** What `work` gives, or nothing where it failed, which is told. */
export async function attempt<Result>(work: () => Promise<Result>): Promise<Result | undefined> {
  try {
    return await work();
  } catch (error) {
    complain(error);
    return undefined;
  }
}
