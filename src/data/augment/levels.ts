/** Each value of uint8 `pixels` as `level` maps it, cut to 0 … 255 and without its fraction. */
export function mapLevels(pixels: Uint8Array, level: (value: number) => number): Uint8Array {
  const table = tableOf(level);
  const mapped = new Uint8Array(pixels.length);
  for (let at = 0; at < pixels.length; at++) mapped[at] = table[pixels[at] ?? 0] ?? 0;
  return mapped;
}

/** Maps levels as `mapLevels` does, but each channel of R, G, B by the function that `levelOf` makes of how often the channel has each value. */
export function mapChannelLevels(
  pixels: Uint8Array,
  levelOf: (counts: number[]) => (value: number) => number,
): Uint8Array {
  const mapped = new Uint8Array(pixels.length);
  for (let channel = 0; channel < 3; channel++) {
    const counts = Array<number>(256).fill(0);
    for (let at = channel; at < pixels.length; at += 3) {
      const value = pixels[at] ?? 0;
      counts[value] = (counts[value] ?? 0) + 1;
    }
    const table = tableOf(levelOf(counts));
    for (let at = channel; at < pixels.length; at += 3) mapped[at] = table[pixels[at] ?? 0] ?? 0;
  }
  return mapped;
}

function tableOf(level: (value: number) => number): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, value) => Math.min(255, Math.max(0, level(value))));
}
