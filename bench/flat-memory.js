// Whether memory stays flat over an epoch of many small pictures: draws them into a temporary folder, reads them all as training
// does, and prints the resident set as it goes; with --write also into bench/results/flat-memory.md. After `npm run build`:
//
//   node bench/flat-memory.js [--pictures 100000] [--side 224: what they are resized to] [--write]
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir, totalmem, type as osType } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import sharp from 'sharp';
import { openDataset } from 'ort-tl';
import { PhotoReader } from '../dist/data/photoReader.js';

const { values } = parseArgs({
  options: {
    pictures: { type: 'string', default: '100000' },
    side: { type: 'string', default: '224' },
    write: { type: 'boolean', default: false },
  },
});
const [count, side] = [Number(values.pictures), Number(values.side)];
if (!(Number.isSafeInteger(count) && count >= 20 && Number.isSafeInteger(side) && side >= 1))
  throw new Error('expected a whole number of pictures, 20 or more, and a side in pixels');
const [CLASSES, SOURCES, AT_ONCE] = [10, 100, 64];

const folder = await mkdtemp(join(tmpdir(), 'ort-tl-flat-memory-'));
try {
  const jpegs = await Promise.all(
    Array.from({ length: SOURCES }, (_, at) =>
      sharp(Buffer.from(Array.from({ length: 32 * 32 * 3 }, (_, value) => (value * (at + 7)) % 256)), {
        raw: { width: 32, height: 32, channels: 3 },
      })
        .jpeg()
        .toBuffer(),
    ),
  );
  for (let name = 0; name < CLASSES; name++) await mkdir(join(folder, String(name)));
  for (let first = 0; first < count; first += AT_ONCE)
    await Promise.all(
      Array.from({ length: Math.min(AT_ONCE, count - first) }, (_, at) =>
        writeFile(
          join(folder, String((first + at) % CLASSES), `${first + at}.jpg`),
          jpegs[(first + at) % SOURCES] ?? '',
        ),
      ),
    );

  const megabytes = () => Math.round(process.memoryUsage.rss() / 1e6);
  /** @type {string[][]} */
  const rows = [];
  const began = performance.now();
  /** @param {string} what */
  const note = (what) => {
    const [seconds, resident] = [((performance.now() - began) / 1000).toFixed(1), megabytes().toString()];
    rows.push([what, seconds, resident]);
    console.log(`${what}: ${seconds} s, ${resident} MB`);
  };
  note('before the folder is opened');
  const { train, val } = await openDataset(folder, { seed: 0 });
  const photos = [...train, ...val];
  note('the photos are found');
  /** @type {import('ort-tl').Preprocessing} */
  const preprocessing = { width: side, height: side, resize: 'crop', mean: [0, 0, 0], std: [1, 1, 1] };
  let done = 0;
  for await (const read of PhotoReader.ofPixels().read(photos, preprocessing, { concurrency: 32 })) {
    if ('error' in read) throw new Error(`${read.photo.path}: ${read.error.message}`);
    if (++done % Math.floor(count / 20) === 0) note(`${Math.round((100 * done) / count)} % read`);
  }
  const peak = Math.round((process.resourceUsage().maxRSS * 1024) / 1e6);
  console.log(`peak ${peak} MB`);
  if (values.write)
    await writeFile(fileURLToPath(new URL('results/flat-memory.md', import.meta.url)), page(rows, peak));
} finally {
  await rm(folder, { recursive: true });
}

/**
 * The figures as a page, with what they were measured on.
 * @param {readonly (readonly string[])[]} rows
 * @param {number} peak in megabytes
 */
function page(rows, peak) {
  const versions = `Node.js ${process.version}, sharp ${sharp.versions.sharp}, libvips ${sharp.versions.vips}`;
  const machine = `${osType()} ${process.arch}, ${cpus()[0]?.model.trim() ?? 'unknown processor'}, ${cpus().length} cores, ${Math.round(totalmem() / 1e9)} GB`;
  return `# Memory over an epoch of many small pictures

${count.toLocaleString('en-US')} JPEG files of 32 × 32 pixels in ${CLASSES} classes, read and resized to ${side} × ${side} as a training reads them. Measured
${new Date().toISOString().slice(0, 10)} with \`node bench/flat-memory.js --pictures ${count} --side ${side} --write\` on ${machine}; ${versions}.
At most ${peak} MB were resident, drawing the pictures included.

| share of the epoch | seconds | resident, MB |
| --- | --- | --- |
${rows.map((row) => `| ${row.join(' | ')} |`).join('\n')}
`;
}
