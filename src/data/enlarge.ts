/** One side of a picture: it has `length` pixels and is enlarged to `scaled`, of which `count` from `first` on are wanted. */
export interface Side {
  readonly length: number;
  readonly scaled: number;
  readonly first: number;
  readonly count: number;
}

/** Between which two pixels each wanted one lies, and how near it is to the second. */
interface Taps {
  readonly before: Int32Array;
  readonly after: Int32Array;
  readonly share: Float32Array;
}

/**
 * The pixels of a side that its wanted part is made of: `count` from `first` on.
 */
export function neededPixels(side: Side): { first: number; count: number } {
  const { before, after } = taps(side);
  const first = before[0] ?? 0;
  return { first, count: (after.at(-1) ?? first) - first + 1 };
}

/**
 * Bilinear enlargement of uint8 RGB `pixels` as Pillow and torchvision do it: pixel centres at half, the rim repeated. A side
 * whose `scaled` is its `length` stays as it is. `pixels` holds what `neededPixels` names of each side and nothing else.
 * libvips' own enlargement by `linear` shifts the picture by half a pixel up and left, and its affine darkens the rim.
 */
export function enlarge(pixels: Uint8Array, across: Side, down: Side): Uint8Array {
  const columns = taps(across);
  const rows = taps(down);
  const [width, height] = [across.count, down.count];
  const [left, top] = [columns.before[0] ?? 0, rows.before[0] ?? 0];
  const sourceStride = 3 * neededPixels(across).count;
  const sourceRows = neededPixels(down).count;
  const stride = 3 * width;

  const wide = scratch(sourceRows * stride);
  for (let x = 0; x < width; x++) {
    const a = 3 * ((columns.before[x] ?? 0) - left);
    const b = 3 * ((columns.after[x] ?? 0) - left);
    const share = columns.share[x] ?? 0;
    for (let y = 0; y < sourceRows; y++) {
      const from = y * sourceStride;
      const to = y * stride + 3 * x;
      for (let channel = 0; channel < 3; channel++) {
        const value = pixels[from + a + channel] ?? 0;
        wide[to + channel] = value + share * ((pixels[from + b + channel] ?? 0) - value);
      }
    }
  }
  const enlarged = new Uint8Array(height * stride);
  for (let y = 0; y < height; y++) {
    const a = ((rows.before[y] ?? 0) - top) * stride;
    const b = ((rows.after[y] ?? 0) - top) * stride;
    const share = rows.share[y] ?? 0;
    const to = y * stride;
    for (let at = 0; at < stride; at++) {
      const value = wide[a + at] ?? 0;
      enlarged[to + at] = value + share * ((wide[b + at] ?? 0) - value) + 0.5;
    }
  }
  return enlarged;
}

let room = new Float32Array(0);

/** Room for `count` numbers, as the call before left it: a new one for each photo is several times its pixels to be collected. */
function scratch(count: number): Float32Array {
  if (room.length < count) room = new Float32Array(count);
  return room;
}

function taps({ length, scaled, first, count }: Side): Taps {
  const before = new Int32Array(count);
  const after = new Int32Array(count);
  const share = new Float32Array(count);
  for (let at = 0; at < count; at++) {
    const place = ((first + at + 0.5) * length) / scaled - 0.5;
    const whole = Math.floor(place);
    before[at] = Math.max(0, whole);
    after[at] = Math.min(length - 1, scaled === length ? whole : whole + 1);
    share[at] = place - whole;
  }
  return { before, after, share };
}
