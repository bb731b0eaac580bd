// Whether memory stays flat over an epoch of many small pictures: draws them into a temporary folder, reads them all as training
// does, and prints the resident set as it goes. After `npm run build`:
//
//   node bench/flat-memory.js [pictures, default 100000] [side that they are resized to, default 224]
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { openDataset } from 'ort-tl';
import { PhotoReader } from '../dist/data/photoReader.js';

const count = Number(process.argv[2] ?? 100_000);
const side = Number(process.argv[3] ?? 224);
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
        writeFile(join(folder, String((first + at) % CLASSES), `${first + at}.jpg`), jpegs[(first + at) % SOURCES]),
      ),
    );

  const megabytes = () => Math.round(process.memoryUsage.rss() / 1e6);
  console.log(`before opening the folder: ${megabytes()} MB`);
  const { train, val } = await openDataset(folder, { seed: 0 });
  const photos = [...train, ...val];
  console.log(`${photos.length} photos found: ${megabytes()} MB`);
  const preprocessing = { width: side, height: side, resize: 'crop', mean: [0, 0, 0], std: [1, 1, 1] };
  const began = performance.now();
  let done = 0;
  for await (const _ of PhotoReader.ofPixels().read(photos, preprocessing, {
    concurrency: 32,
    onSkipped: (photo, error) => console.log(photo.path, error.message),
  }))
    if (++done % Math.ceil(count / 20) === 0)
      console.log(`${done} read in ${((performance.now() - began) / 1000).toFixed(1)} s: ${megabytes()} MB`);
  console.log(`peak ${Math.round(process.resourceUsage().maxRSS / 1e3)} MB`);
} finally {
  await rm(folder, { recursive: true });
}
