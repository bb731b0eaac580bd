import type { PreviewOptions } from '../../index.js';

/** How photos are shown: small in lists, and by themselves. */
export const THUMBNAIL = { side: 192, format: 'webp' } as const satisfies PreviewOptions;
export const LARGE = { side: 1600, format: 'jpeg' } as const satisfies PreviewOptions;
