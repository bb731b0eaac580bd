import { dirname, join } from 'node:path';
import { checkPlace } from '../files.js';
import {
  encodeTuned,
  filesOf,
  readManifest,
  readOnDeviceCheckpoint,
  UserError,
  writeFileAtomically,
} from '../internal.js';
import { shared } from './sharedFlags.js';
import { readSource } from './sourceModel.js';
import { showBytes, showCount, Terminal } from './terminal.js';
import type { Verb } from './verb.js';

interface Arguments {
  checkpoint: string;
  artifacts: string | undefined;
  model: string;
  out: string;
  json: boolean;
  quiet: boolean;
}

export const verb: Verb<Arguments> = {
  builder: (yargs) =>
    yargs
      .positional('checkpoint', {
        type: 'string',
        demandOption: true,
        describe: "what ONNX Runtime's on-device training has saved",
      })
      .option('artifacts', {
        type: 'string',
        requiresArg: true,
        describe: "folder that the training began with (default: the checkpoint's)",
      })
      .option('model', {
        type: 'string',
        demandOption: true,
        requiresArg: true,
        describe: 'the pretrained model that the artifacts were compiled from, as --model of ort-tl compile names it',
      })
      .option('out', { type: 'string', demandOption: true, requiresArg: true, describe: 'the tuned model to write' })
      .option('json', shared.json)
      .option('quiet', shared.quiet)
      .example('$0 import-checkpoint artifacts/phone/trained --model efficientnet_b0.onnx --out tuned.onnx', ''),
  handler: async (args) => {
    const terminal = new Terminal(args);
    const folder = args.artifacts ?? dirname(args.checkpoint);
    const manifest = readManifest(folder);
    if (manifest.target !== 'onnxruntime-training')
      throw new UserError(
        'bad-artifacts',
        `${folder} holds artifacts that ort-tl trains with; name those of ort-tl compile --target onnxruntime-training`,
      );
    const parameters = readOnDeviceCheckpoint(args.checkpoint, manifest);
    const { model } = await readSource(terminal, args.model);
    const files = Object.keys(manifest.files).map((name) => join(folder, name));
    await checkPlace(args.out, 'file', [...filesOf(model), args.checkpoint, join(folder, 'manifest.json'), ...files]);
    const bytes = encodeTuned(model, { manifest, parameters });
    await writeFileAtomically(args.out, bytes);
    const { classes, cost } = manifest;
    terminal.print(
      `${args.out}: ${showBytes(bytes.byteLength)}, ${showCount(cost.trainableParameters)} parameters of the checkpoint, ${classes.length} classes`,
    );
    terminal.json({ out: args.out, bytes: bytes.byteLength, policy: manifest.policy, classes });
  },
};
