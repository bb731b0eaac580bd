// Removes what onnxruntime-node brings for other platforms than this one: about 250 of its 290 MB. Optional; run it where the package
// is installed, in the folder that has node_modules: node node_modules/ort-tl/tools/prune-platforms.js [folder of onnxruntime-node]
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const [given] = process.argv.slice(2);
const place = given ?? dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
const bin = join(place, 'bin');

/** @param {string} path @returns {number} bytes of a file, or of all files of a folder */
const bytesOf = (path) =>
  statSync(path).isDirectory()
    ? readdirSync(path).reduce((sum, name) => sum + bytesOf(join(path, name)), 0)
    : statSync(path).size;

const builds = existsSync(bin)
  ? readdirSync(bin).flatMap((api) =>
      readdirSync(join(bin, api)).flatMap((platform) =>
        readdirSync(join(bin, api, platform)).map((arch) => ({ platform, arch, path: join(bin, api, platform, arch) })),
      ),
    )
  : [];
const isOurs = (/** @type {{ platform: string, arch: string }} */ { platform, arch }) =>
  platform === process.platform && arch === process.arch;
if (!builds.some(isOurs)) {
  console.error(
    `${bin} has nothing for ${process.platform}-${process.arch}, so nothing was removed; name the folder of onnxruntime-node`,
  );
  process.exit(2);
}
const others = builds.filter((build) => !isOurs(build));
const bytes = others.reduce((sum, { path }) => sum + bytesOf(path), 0);
for (const { path } of others) rmSync(path, { recursive: true });
console.log(`removed ${(bytes / 1e6).toFixed(0)} MB for ${others.length} other platforms from ${bin}`);
