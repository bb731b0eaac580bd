/** A bar as long as a share, beside a number that says the same: nothing for a screen reader. */
export function Bar({ share, isDimmed = false }: { readonly share: number; readonly isDimmed?: boolean }) {
  const width = `${(100 * Math.min(1, Math.max(0, share))).toFixed(2)}%`;
  return (
    <span class={isDimmed ? 'bar dimmed' : 'bar'} aria-hidden="true">
      <span style={{ width }} />
    </span>
  );
}

const place = (share: number) => `${(100 * share).toFixed(2)}%`;

interface RangeProps {
  readonly top1: number;
  readonly interval: readonly [number, number];
}

/** An accuracy with its interval, beside numbers that say the same. */
export function Range({ top1, interval: [low, high] }: RangeProps) {
  return (
    <span class="range" aria-hidden="true">
      <span style={{ left: place(low), width: place(high - low) }} />
      <span class="mark" style={{ left: place(top1) }} />
    </span>
  );
}
