import type { Preprocessing } from '../artifacts/manifest.js';

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** What is shown of a photo: the whole of it scaled to `scaled`, and of that a window, all in pixels. */
export interface View {
  readonly scaled: Size;
  readonly left: number;
  readonly top: number;
  readonly window: Size;
}

/** How `resize` shows a photo of the size `photo`, to the pixel as torchvision's `Resize` and `CenterCrop` do. */
export function centredView(photo: Size, { width, height, resize }: Preprocessing): View {
  const window = { width, height };
  if (resize === 'squash') return { scaled: window, left: 0, top: 0, window };
  const scale = Math.max(width / photo.width, height / photo.height);
  // Truncated, like torchvision; the small term undoes what floating point takes from a whole number.
  const scaled = {
    width: Math.max(width, Math.floor(photo.width * scale + 1e-6)),
    height: Math.max(height, Math.floor(photo.height * scale + 1e-6)),
  };
  return {
    scaled,
    left: halfOf(scaled.width - width),
    top: halfOf(scaled.height - height),
    window,
  };
}

/** Half of a whole number, a half rounded to the even side as Python does. */
function halfOf(whole: number): number {
  const half = Math.floor(whole / 2);
  return half + (whole % 2) * (half % 2);
}
