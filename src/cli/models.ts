import { type KnownModel, knownModels, hubSettings, modelHere, removeModel, UserError } from '../internal.js';
import { interruptibly } from './interruptibly.js';
import { shared } from './sharedFlags.js';
import { findModel } from './sourceModel.js';
import { showBytes, table, Terminal } from './terminal.js';
import type { Verb } from './verb.js';

interface Arguments {
  action: 'ls' | 'pull' | 'path' | 'rm';
  names: string[] | undefined;
  json: boolean;
  quiet: boolean;
}

export const verb: Verb<Arguments> = {
  builder: (yargs) =>
    yargs
      .positional('action', {
        choices: ['ls', 'pull', 'path', 'rm'] as const,
        demandOption: true,
        describe:
          'list networks; load some into the cache; print the path of one that is there; remove some from the cache',
      })
      .positional('names', {
        type: 'string',
        array: true,
        describe: 'as ls shows them, hf:owner/repository[@revision][/path.onnx], or https://…/file.onnx#sha256=…',
      })
      .option('json', shared.json)
      .option('quiet', shared.quiet)
      .example('$0 models ls', 'networks that have a name, and what is in the cache')
      .example('$0 models pull hf:Xenova/resnet-18', 'loads it, or what is new of it')
      .example('$0 models path hf:Xenova/resnet-18', 'where it lies')
      .example('$0 models rm hf:Xenova/resnet-18', 'makes room'),
  handler: async (args) => {
    const terminal = new Terminal(args);
    const names = args.names ?? [];
    const refuse = (message: string) => new UserError('bad-arguments', `${message}; see ort-tl models --help`);
    if (args.action === 'ls') {
      if (names.length > 0) throw refuse('names are for pull, path and rm');
      list(terminal);
      return;
    }
    if (names.length === 0) throw refuse(`expected a name, as in: ort-tl models ${args.action} resnet-18`);
    if (args.action === 'pull') await pullAll(terminal, names);
    else if (args.action === 'rm') await removeAll(terminal, names);
    else {
      const found = names.map((name) => modelHere(name));
      for (const { path } of found) terminal.result(path);
      terminal.json(found);
    }
  },
};

function list(terminal: Terminal): void {
  const models = knownModels();
  const row = ({ name, state, bytes, licence = '', about = '' }: KnownModel) => [
    ...[name, state, bytes === undefined ? '' : showBytes(bytes), licence, about],
  ];
  for (const line of table([['name', '', 'size', 'licence', ''], ...models.map(row)])) terminal.print(line);
  const { hubCache, ownCache } = hubSettings();
  terminal.print(`networks from the hub are in ${hubCache}, those from other addresses in ${ownCache}`);
  terminal.json(models);
}

async function pullAll(terminal: Terminal, names: readonly string[]): Promise<void> {
  const found: Awaited<ReturnType<typeof findModel>>[] = [];
  await interruptibly(terminal, { doing: 'stopping' }, async ({ signal }) => {
    for (const name of names) {
      const model = await findModel(terminal, name, { signal, refresh: true });
      terminal.result(model.path);
      found.push(model);
    }
  });
  terminal.json(found);
}

async function removeAll(terminal: Terminal, names: readonly string[]): Promise<void> {
  const removed = [];
  for (const name of names)
    for (const each of await removeModel(name)) {
      terminal.print(`removed ${each.name}, ${showBytes(each.bytes)}`);
      removed.push(each);
    }
  terminal.json(removed);
}
