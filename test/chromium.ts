import { existsSync } from 'node:fs';

const PATHS = [
  process.env['CHROMIUM'] ?? '',
  ...['chromium', 'chromium-browser', 'google-chrome'].map((name) => `/usr/bin/${name}`),
];

/** Where a Chromium is; undefined where there is none. */
export const browser = PATHS.find((path) => path !== '' && existsSync(path));
