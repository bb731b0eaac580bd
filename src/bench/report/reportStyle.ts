/** What a report adds to the style of every page, in CSS. */
export const REPORT_STYLE = `
:root { --ink: #1c2024; --dim: #545b64; --line: #d9dde2; --panel: #f6f7f9; --page: #ffffff; --link: #0b5a94; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7eb; --dim: #a5adb8; --line: #363c45; --panel: #1b1f25; --page: #121418; --link: #7cc0f4; } }
body { color: var(--ink); background: var(--page); max-width: 76rem; padding: 0 clamp(.75rem, 3vw, 2rem); overflow-wrap: break-word; }
h1 { font-size: clamp(1.5rem, 4vw, 2.1rem); line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.35rem; margin: 3rem 0 .75rem; padding-top: 1rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.75rem 0 .5rem; }
a { color: var(--link); }
.lead { font-size: 1.08rem; color: var(--dim); max-width: 46rem; margin-top: 0; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: .75rem; margin: 1.25rem 0; }
.facts div { background: var(--panel); border-radius: .5rem; padding: .6rem .85rem; }
dt { color: var(--dim); font-size: .85rem; } dd { margin: 0; }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; padding: 0; margin: 0; }
.scroll { overflow-x: auto; margin: .75rem 0; }
table { font-size: .9rem; min-width: 100%; }
th, td { border-bottom: 1px solid var(--line); padding: .35rem .7rem; vertical-align: top; }
thead th { color: var(--dim); font-weight: 500; font-size: .82rem; vertical-align: bottom; text-align: left; }
tbody th { font-weight: 500; min-width: 9rem; }
td.number { white-space: nowrap; } thead th.number { text-align: right; }
tr.ours td { font-weight: 600; }
.absent { color: var(--dim); font-weight: 400 !important; }
.charts { display: flex; flex-wrap: wrap; align-items: end; gap: 1rem 1.5rem; }
.charts figure { margin: 0; max-width: 100%; }
.charts figcaption { font-size: .9rem; font-weight: 600; max-width: 22rem; margin-bottom: .35rem; }
.charts svg { display: block; color: var(--ink); }
.caption, .notes { color: var(--dim); font-size: .88rem; max-width: 60rem; }
.notes b { color: var(--ink); font-weight: 600; }
.columns { font-size: .92rem; } .columns div { display: grid; grid-template-columns: minmax(8rem, 12rem) 1fr; gap: .25rem 1rem; padding: .25rem 0; border-bottom: 1px solid var(--line); }
summary { cursor: pointer; color: var(--link); }
@media (max-width: 32rem) { .columns div { grid-template-columns: 1fr; } }
@media print { details > * { display: block; } }
`;
