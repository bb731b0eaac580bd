import { encodeDelta, encodeTuned, readLearned, readModel, UserError, writeFileAtomically } from '../index.js';
import { shared } from './options.js';
import { showBytes, Terminal } from './terminal.js';
import { modelOfRun } from './train.js';
import type { Verb } from './verb.js';

interface Arguments {
  run: string;
  format: 'onnx';
  delta: boolean;
  model: string | undefined;
  out: string;
  json: boolean;
  quiet: boolean;
}

export const verb: Verb<Arguments> = {
  builder: (yargs) =>
    yargs
      .positional('run', { type: 'string', demandOption: true, describe: 'folder that ort-tl train wrote' })
      .option('format', {
        choices: ['onnx'] as const,
        default: 'onnx' as const,
        describe: 'what is written: an ONNX model, float32',
      })
      .option('delta', {
        type: 'boolean',
        default: false,
        describe: 'only what changed, for ort-tl apply to patch the pretrained model with',
      })
      .option('model', {
        ...shared.model,
        demandOption: false,
        describe: 'the pretrained model that the run began with (default: where the run found it)',
      })
      .option('out', { type: 'string', demandOption: true, requiresArg: true, describe: 'the file to write' })
      .option('json', shared.json)
      .option('quiet', shared.quiet)
      .example('$0 export runs/first --out tuned.onnx', 'the best epoch as a model')
      .example('$0 export runs/first --delta --out tuned.delta', 'what to send to whoever has the pretrained model'),
  handler: async (args) => {
    const terminal = new Terminal(args);
    const learned = readLearned(args.run);
    const path = args.model ?? modelOfRun(args.run);
    if (path === undefined)
      throw new UserError('bad-arguments', `${args.run} does not say which model it began with; name it (--model)`);
    const source = readModel(path);
    const parts = args.delta ? encodeDelta(source, learned) : [encodeTuned(source, learned)];
    await writeFileAtomically(args.out, ...parts);
    const bytes = parts.reduce((sum, part) => sum + part.byteLength, 0);
    terminal.print(
      args.delta
        ? `${args.out}: ${showBytes(bytes)}; ort-tl apply makes the tuned model of it and of ${learned.manifest.source.file}`
        : `${args.out}: ${showBytes(bytes)}`,
    );
    terminal.json({ out: args.out, bytes, delta: args.delta, base: learned.manifest.source });
  },
};
