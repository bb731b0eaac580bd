import { basename, extname, join, relative, resolve } from 'node:path';
import { checkPictures, PhotoExplainer, UserError, writeFileAtomically } from '../internal.js';
import { shared } from './sharedFlags.js';
import { findModel } from './sourceModel.js';
import { knownOfModel, tellOfPreprocessing } from './openClassifier.js';
import { type PhotoArgument, photosOf } from './photoList.js';
import type { Verb } from './verb.js';
import { inFlags } from './wording.js';
import { Terminal } from './terminal.js';

interface Arguments {
  model: string;
  labels: string | undefined;
  preprocessing: string | undefined;
  photos: string[] | undefined;
  class: string | undefined;
  out: string;
  json: boolean;
  quiet: boolean;
}

interface Result {
  readonly file: string;
  readonly label?: string;
  /** The file that was written. */
  readonly picture?: string;
  readonly error?: string;
}

export const verb: Verb<Arguments> = {
  builder: (yargs) =>
    yargs
      .positional('photos', shared.photos)
      .option('model', shared.tunedModel)
      .option('labels', shared.labels)
      .option('preprocessing', shared.preprocessing)
      .option('class', {
        type: 'string',
        requiresArg: true,
        describe: 'the class to look for (default: the one predicted)',
      })
      .option('out', { type: 'string', default: '.', requiresArg: true, describe: 'folder for the pictures' })
      .option('json', shared.json)
      .option('quiet', shared.quiet)
      .example('$0 explain --model runs/first/model.onnx some.jpg', 'writes some.explained.png')
      .example('$0 explain --model runs/first/model.onnx some.jpg --class cat', 'where it might have seen a cat'),
  handler: async (args) => {
    const terminal = new Terminal(args);
    const photos = await photosOf(terminal, args.photos ?? [], 'explain');
    const pictures = placesOf(photos, args.out);
    await checkPictures(
      args.out,
      pictures.map((picture) => relative(args.out, picture)),
    );
    const { path } = await findModel(terminal, args.model);
    const explainer = await PhotoExplainer.open(path, knownOfModel(args));
    tellOfPreprocessing(terminal, explainer.stated);
    const results: Result[] = [];
    for (const [index, { name: file, content }] of photos.entries()) {
      try {
        const { label, picture: png } = await explainer.explain(content, args.class);
        const picture = pictures[index] ?? '';
        await writeFileAtomically(picture, png);
        results.push({ file, label, picture });
        terminal.result(`${file}  ${label}  ${picture}`);
      } catch (thrown) {
        // What is wrong with the class or the folder is wrong for every photo.
        if (!(thrown instanceof UserError) || thrown.code !== 'unreadable-photo') throw thrown;
        results.push({ file, error: inFlags(thrown.text) });
        terminal.warn(`ort-tl: ${thrown.text}`);
      }
    }
    await explainer.close();
    terminal.json(results);
    if (results.some(({ error }) => error !== undefined)) process.exitCode = 2;
  },
};

/**
 * Where the picture of each photo goes: under the photo's name without its extension; where that is another's of the same call, or a
 * photo's of the same call, with a number. Names that differ in case or in Unicode's composition alone are one on some disks.
 */
function placesOf(photos: readonly PhotoArgument[], out: string): string[] {
  const placeOf = (base: string, number: number) =>
    join(out, `${base}${number === 1 ? '' : `-${number}`}.explained.png`);
  const keyOf = (path: string) => resolve(path).normalize('NFC').toLowerCase();
  const bases = photos.map(({ name }) => (name === '-' ? 'photo' : basename(name, extname(name))));
  const taken = new Set(photos.flatMap(({ content }) => (Buffer.isBuffer(content) ? [] : keyOf(content.path))));
  // Who comes first under a name keeps it, before any other is numbered into it.
  const places = bases.map((base) => {
    const place = placeOf(base, 1);
    if (taken.has(keyOf(place))) return undefined;
    taken.add(keyOf(place));
    return place;
  });
  /** Past the numbers that are known to be taken, for folders of thousands of equal names. */
  const last = new Map<string, number>();
  return places.map((place, index) => {
    if (place !== undefined) return place;
    const base = bases[index] ?? '';
    let number = last.get(keyOf(base)) ?? 1;
    do number++;
    while (taken.has(keyOf(placeOf(base, number))));
    last.set(keyOf(base), number);
    taken.add(keyOf(placeOf(base, number)));
    return placeOf(base, number);
  });
}
