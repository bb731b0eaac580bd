// What the benchmark of the studio writes of its figures.

/** @typedef {Readonly<Record<string, { readonly made: string, readonly figures: Readonly<Record<string, number>> }>>} Records what was measured, by its part */
/** @typedef {(part: string, name: string) => number} Figure NaN where it was not measured */

/** @param {number} value */
const seconds = (value) => `${(value / 1000).toFixed(2)} s`;
/** @param {number} value */
const ms = (value) => `${value.toFixed(0)} ms`;
/** @param {number} value */
const megabytes = (value) => `${(value / 1e6).toFixed(1)} MB`;
/** @param {number} value */
const kilobytes = (value) => `${(value / 1e3).toFixed(1)} kB`;
/** @param {readonly string[]} cells */
const line = (cells) => `| ${cells.join(' | ')} |`;

/** @param {Figure} figure */
function tableOf(figure) {
  /** @type {[string, number, number, (value: number) => string][]} */
  const targets = [
    ['from the last of 40 photos among 1,000 to the accuracy on the screen', 2000, figure('add', 'ms'), seconds],
    [
      'from the last of 40 photos in an empty project to the accuracy on the screen',
      5000,
      figure('first', 'ms'),
      seconds,
    ],
    ['longest frame on the photos while F1C1 trains and one scrolls', 100, figure('frames', 'training-longest'), ms],
    ['the same on its curves', 100, figure('frames', 'curves-longest'), ms],
    ['the same on the photos while 40 come and the live head learns', 100, figure('frames', 'adding-longest'), ms],
    ['10,000 photos: from the navigation to the first thumbnails', 1000, figure('large', 'quietFirst'), seconds],
    ['the same while the live head looks at all of them', 1000, figure('large', 'busyFirst'), seconds],
    [
      'memory of the page, scrolled through 10,000 photos, without that of an empty one',
      300e6,
      figure('large', 'scrolledPss') - figure('large', 'emptyPss'),
      megabytes,
    ],
    ['files of the page, gzipped', 250e3, figure('size', 'pageBytes'), kilobytes],
    ['growth of the npm package', 1e6, figure('size', 'packedBytes') - figure('size', 'packedBefore'), kilobytes],
  ];
  return targets
    .filter(([, , measured]) => Number.isFinite(measured))
    .map(([what, target, measured, shown]) =>
      line([
        what,
        shown(target),
        shown(measured),
        (measured / target).toFixed(2),
        measured > target ? shown(measured - target) : '-',
      ]),
    );
}

/** @param {Figure} figure @returns {[string, string][]} a sentence for each part */
function notesOf(figure) {
  return [
    [
      'add',
      `40 photos for 1,000: median of ${figure('add', 'rounds')} rounds, ${seconds(figure('add', 'least'))} to ${seconds(figure('add', 'most'))}; from the first answer to the last ${seconds(figure('add', 'uploadMs'))}; the server took ${megabytes(figure('add', 'serverBytes'))} then.`,
    ],
    [
      'first',
      `40 photos for none, each time a server just started that has not read its network yet: median of ${figure('first', 'rounds')} rounds, ${seconds(figure('first', 'least'))} to ${seconds(figure('first', 'most'))}; from the first answer to the last ${seconds(figure('first', 'uploadMs'))}.`,
    ],
    [
      'frames',
      `Frames, by requestAnimationFrame: ${['idle', 'adding', 'training', 'curves'].map((name) => `${{ idle: 'nothing happens', adding: '40 photos come', training: 'F1C1 trains', curves: 'its curves are shown' }[name] ?? ''}: ${figure('frames', `${name}-frames`)} frames, longest ${ms(figure('frames', `${name}-longest`))}, ${figure('frames', `${name}-over100`)} over 100 ms, longest task ${ms(figure('frames', `${name}-longestTask`))}`).join('; ')}. The training takes both cores; Chromium draws without a graphics processor.`,
    ],
    [
      'large',
      `10,000 photos: the server listens after ${seconds(figure('large', 'startMs'))}; its first visitor sees a thumbnail after ${seconds(figure('large', 'visitMs'))}, later ones all that are seen after ${seconds(figure('large', 'quietAll'))} (${seconds(figure('large', 'busyAll'))} while the live head looks at all). Renderer: proportional set ${megabytes(figure('large', 'openedPss'))} once open, ${megabytes(figure('large', 'scrolledPss'))} after scrolling through all (resident ${megabytes(figure('large', 'scrolledRss'))}), of which an empty page has ${megabytes(figure('large', 'emptyPss'))} (${megabytes(figure('large', 'emptyRss'))}); JavaScript's heap ${megabytes(figure('large', 'scrolledHeap'))}; longest frame while scrolling ${ms(figure('large', 'longestFrame'))}. The server took ${megabytes(figure('large', 'serverBytes'))}.`,
    ],
    [
      'size',
      `The package is ${megabytes(figure('size', 'packedBytes'))} packed and ${megabytes(figure('size', 'unpackedBytes'))} unpacked; before the studio ${megabytes(figure('size', 'packedBefore'))} and ${megabytes(figure('size', 'unpackedBefore'))}.`,
    ],
  ];
}

/** A table of what was to be reached, and a line on each part. @param {Records} records */
export function reportOf(records) {
  /** @type {Figure} */
  const figure = (part, name) => records[part]?.figures[name] ?? NaN;
  const rows = tableOf(figure);
  const told = notesOf(figure).flatMap(([part, text]) => {
    const made = records[part]?.made;
    return made === undefined ? [] : [`- ${text} _${made}_`];
  });
  return `# The studio, measured

Made by \`node bench/studio.js\`, in headless Chromium and with the real server; targets are for two quiet cores. A ratio of at most 1 reaches its target.

${[line(['what', 'target', 'measured', 'ratio', 'short by']), line(['---', '---', '---', '---', '---']), ...rows].join('\n')}

${told.join('\n')}
`;
}
