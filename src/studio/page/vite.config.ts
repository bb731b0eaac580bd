// Builds the studio's page into dist/studio/page, of which the server sends the files as they are.
import { defineConfig } from 'vite';
import { licences } from '../../../rolldown.config.js';

export default defineConfig({
  base: './',
  plugins: [licences()],
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: { outDir: '../../../dist/studio/page', emptyOutDir: true, assetsInlineLimit: 0, modulePreload: false },
});
