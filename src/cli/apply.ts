import { checkPlace } from '../files.js';
import { applyDelta, filesOf, readDelta, writeFileAtomically } from '../internal.js';
import { shared } from './sharedFlags.js';
import { readSource } from './sourceModel.js';
import { showBytes, Terminal } from './terminal.js';
import type { Verb } from './verb.js';

interface Arguments {
  base: string;
  delta: string;
  out: string;
  json: boolean;
  quiet: boolean;
}

export const verb: Verb<Arguments> = {
  builder: (yargs) =>
    yargs
      .option('base', {
        type: 'string',
        demandOption: true,
        requiresArg: true,
        describe: 'the pretrained model that the delta was made from, as --model of ort-tl train names it',
      })
      .option('delta', {
        type: 'string',
        demandOption: true,
        requiresArg: true,
        describe: 'what ort-tl export --delta wrote',
      })
      .option('out', { type: 'string', demandOption: true, requiresArg: true, describe: 'the tuned model to write' })
      .option('json', shared.json)
      .option('quiet', shared.quiet)
      .example('$0 apply --base efficientnet_b0.onnx --delta tuned.delta --out tuned.onnx', ''),
  handler: async (args) => {
    const terminal = new Terminal(args);
    const delta = readDelta(args.delta);
    const { model: base } = await readSource(terminal, args.base);
    await checkPlace(args.out, 'file', [...filesOf(base), args.delta]);
    const bytes = applyDelta(base, delta);
    await writeFileAtomically(args.out, bytes);
    const { policy, classes } = delta.manifest;
    terminal.print(
      `${args.out}: ${showBytes(bytes.byteLength)}, policy ${policy}, ${classes.length} classes; its SHA-256 is as exported`,
    );
    terminal.json({ out: args.out, bytes: bytes.byteLength, sha256: delta.tunedSha256, policy, classes });
  },
};
