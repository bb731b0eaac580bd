import { fittedSize } from '../artifacts/fittedSize.js';
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
export function centredView(photo: Size, preprocessing: Omit<Preprocessing, 'mean' | 'std'>): View {
  const { width, height, resize } = preprocessing;
  const fitted = fittedSize(preprocessing);
  const scale = Math.max(fitted.width / photo.width, fitted.height / photo.height);
  // Truncated, like torchvision, as above.
  const scaled =
    resize === 'squash'
      ? fitted
      : {
          width: Math.max(fitted.width, Math.floor(photo.width * scale + 1e-6)),
          height: Math.max(fitted.height, Math.floor(photo.height * scale + 1e-6)),
        };
  return {
    scaled,
    left: halfOf(scaled.width - width),
    top: halfOf(scaled.height - height),
    window: { width, height },
  };
}

/** Half of a whole number, a half rounded to the even side as Python does. */
function halfOf(whole: number): number {
  const half = Math.floor(whole / 2);
  return half + (whole % 2) * (half % 2);
}
