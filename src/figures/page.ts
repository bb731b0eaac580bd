import { type Markup, markup, trusted } from '../markup.js';

/** A whole page that needs no other file, light or dark as its reader likes. `style` is more CSS. */
export function htmlPage(title: string, body: Markup, style = ''): string {
  return String(markup`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
table { border-collapse: collapse; } th, td { padding: .25rem .75rem; text-align: left; border-bottom: 1px solid #8884; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
figure { display: inline-block; margin: 0 1rem 1.5rem 0; vertical-align: top; }
figcaption { font-size: .9rem; max-width: 16rem; }
svg { max-width: 100%; height: auto; }
${trusted(style)}</style>
<h1>${title}</h1>
${body}
</html>
`);
}
