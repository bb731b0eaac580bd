// Builds the studio's page into dist/studio/page, of which the server sends the files as they are.
import { defineConfig } from 'vite';

export default defineConfig({
  base: './',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: { outDir: '../../../dist/studio/page', emptyOutDir: true, assetsInlineLimit: 0, modulePreload: false },
});
