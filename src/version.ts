import { createRequire } from 'node:module';

/** The version in ort-tl's package.json. */
export const packageVersion: string = (createRequire(import.meta.url)('ort-tl/package.json') as { version: string })
  .version;
