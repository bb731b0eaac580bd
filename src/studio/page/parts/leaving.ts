import type { RefObject } from 'preact';
import { useEffect } from 'preact/hooks';
import { SHOWN_MS } from '../toasts.js';

/**
 * Lets a message go by itself after a while, unless somebody points at it or has the focus in it; the while begins anew when `inputs` change.
 * @param leave nothing for one that stays.
 */
export function useLeaving(
  element: RefObject<HTMLElement | null>,
  leave: (() => void) | undefined,
  inputs: readonly unknown[],
): void {
  useEffect(() => {
    if (!leave) return undefined;
    const look = () => {
      if (element.current?.matches(':hover, :focus-within')) timer = setTimeout(look, SHOWN_MS / 2);
      else leave();
    };
    let timer = setTimeout(look, SHOWN_MS);
    return () => clearTimeout(timer);
  }, inputs);
}
