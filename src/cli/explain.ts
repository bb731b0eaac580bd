import { basename, extname, join } from 'node:path';
import { PhotoExplainer, writeFileAtomically } from '../index.js';
import { shared } from './options.js';
import { photosOf } from './photoList.js';
import type { Verb } from './verb.js';
import { Terminal } from './terminal.js';

interface Arguments {
  model: string;
  photos: string[] | undefined;
  class: string | undefined;
  out: string;
  json: boolean;
  quiet: boolean;
}

export const verb: Verb<Arguments> = {
  builder: (yargs) =>
    yargs
      .positional('photos', shared.photos)
      .option('model', shared.tunedModel)
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
    const photos = await photosOf(args.photos ?? [], 'explain');
    const explainer = await PhotoExplainer.open(args.model);
    /** Photos of the same name in several folders get numbers. */
    const written = new Map<string, number>();
    const results: { file: string; label: string; picture: string }[] = [];
    for (const { name: file, content } of photos) {
      const { label, picture: png } = await explainer.explain(content, args.class);
      const base = file === '-' ? 'photo' : basename(file, extname(file));
      const again = written.get(base) ?? 0;
      written.set(base, again + 1);
      const picture = join(args.out, `${base}${again === 0 ? '' : `-${again + 1}`}.explained.png`);
      await writeFileAtomically(picture, png);
      results.push({ file, label, picture });
      terminal.result(`${file}  ${label}  ${picture}`);
    }
    await explainer.close();
    terminal.json(results);
  },
};
