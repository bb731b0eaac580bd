import {
  defaultCacheFolder,
  listCache,
  type MergedCaches,
  mergeCaches,
  prunable,
  removeFromCache,
  resultOf,
  UserError,
} from '../internal.js';
import { interruptibly } from './interruptibly.js';
import { duration, shared, size } from './sharedFlags.js';
import { showBytes, showCount, table, Terminal } from './terminal.js';
import type { Verb } from './verb.js';

interface Arguments {
  action: 'ls' | 'rm' | 'prune' | 'merge';
  names: string[] | undefined;
  all: boolean;
  'older-than': string | undefined;
  'max-size': string | undefined;
  cache: string | undefined;
  json: boolean;
  quiet: boolean;
}

export const verb: Verb<Arguments> = {
  builder: (yargs) =>
    yargs
      .positional('action', {
        choices: ['ls', 'rm', 'prune', 'merge'] as const,
        demandOption: true,
        describe:
          'list what there is, remove some of it, remove what was not used for long, or add what other caches have',
      })
      .positional('names', {
        type: 'string',
        array: true,
        describe: 'with rm: what to remove, by the names that ls shows; with merge: folders of the other caches',
      })
      .option('all', { type: 'boolean', default: false, describe: 'with rm: all of it' })
      .option('older-than', {
        type: 'string',
        requiresArg: true,
        describe: 'with prune: what was not used for this time, such as 30d',
      })
      .option('max-size', {
        type: 'string',
        requiresArg: true,
        describe: 'with prune: the least recently used, until no more than this is left, such as 5GB',
      })
      .option('cache', shared.cache)
      .option('json', shared.json)
      .option('quiet', shared.quiet)
      .example('$0 cache ls', 'what is cached, the last used first')
      .example('$0 cache prune --older-than 30d --max-size 5GB', '')
      .example('$0 cache rm --all', '')
      .example(
        '$0 cache merge /mnt/a/cache /mnt/b/cache --cache cache',
        'what two machines have computed, in one place',
      ),
  handler: async (args) => {
    const terminal = new Terminal(args);
    const root = args.cache ?? defaultCacheFolder();
    const names = args.names ?? [];
    const refuse = (message: string) => new UserError('bad-arguments', `${message}; see ort-tl cache --help`);
    const takesNames = args.action === 'rm' || args.action === 'merge';
    if ((!takesNames && names.length > 0) || (args.action !== 'rm' && args.all))
      throw refuse('names are for rm and merge, and --all is for rm');
    if (args.action !== 'prune' && (args['older-than'] !== undefined || args['max-size'] !== undefined))
      throw refuse('--older-than and --max-size are for prune');
    if (args.action === 'merge') {
      if (names.length === 0) throw refuse('expected folders of other caches to add to this one');
      await merge(terminal, names, root);
      return;
    }
    const entries = await listCache(root);
    if (args.action === 'ls') {
      const rows = entries.map(({ name, model, policy, rows: count, bytes, lastUsed }) => [
        name,
        model,
        policy,
        showCount(count),
        showBytes(bytes),
        lastUsed.toISOString().slice(0, 16).replace('T', ' '),
      ]);
      if (rows.length === 0) terminal.print(`${root} holds no features`);
      else {
        for (const line of table([['name', 'model', 'policy', 'photos', 'size', 'last used (UTC)'], ...rows]))
          terminal.print(line);
        terminal.print(`${showBytes(entries.reduce((sum, { bytes }) => sum + bytes, 0))} in ${root}`);
      }
      terminal.json(entries);
      return;
    }
    let chosen = entries;
    if (args.action === 'rm') {
      if (names.length === 0 && !args.all) throw refuse('expected names of what to remove, or --all');
      const unknown = names.find((name) => !entries.some((entry) => entry.name === name));
      if (unknown !== undefined)
        throw new UserError('no-such-file', `${root} holds no ${unknown}; see ort-tl cache ls`);
      if (!args.all) chosen = entries.filter(({ name }) => names.includes(name));
    } else {
      const { 'older-than': age, 'max-size': most } = args;
      if (age === undefined && most === undefined) throw refuse('expected --older-than 30d or --max-size 5GB');
      chosen = prunable(entries, {
        ...(most === undefined ? {} : { maxBytes: size('max-size', most) }),
        ...(age === undefined ? {} : { usedSince: new Date(Date.now() - duration('older-than', age)) }),
      });
    }
    await removeFromCache(chosen);
    terminal.print(
      `removed ${chosen.length} of ${entries.length}, ${showBytes(chosen.reduce((sum, { bytes }) => sum + bytes, 0))}`,
    );
    terminal.json(chosen);
  },
};

/** Adds what other caches have to the one in `root`. */
async function merge(terminal: Terminal, froms: readonly string[], root: string): Promise<void> {
  await interruptibly(terminal, { doing: 'stopping; rows that were added stay' }, async ({ signal }) => {
    const merged = await resultOf(mergeCaches(froms, root, signal), ({ store, done, total }) => {
      terminal.progress(`merging ${store.slice(0, 8)}`, done, total, 'rows');
    });
    reportMerged(terminal, merged, root);
  });
}

function reportMerged(terminal: Terminal, merged: MergedCaches, root: string): void {
  const { stores, unreadable } = merged;
  for (const { name, from, added, known, damaged } of stores) {
    const lost = damaged === 0 ? '' : `, ${showCount(damaged)} damaged and left out`;
    terminal.print(`${from} ${name}: ${showCount(added)} added, ${showCount(known)} were there${lost}`);
  }
  for (const folder of unreadable)
    terminal.warn(`warning: ${folder} is left out: its layout is damaged, or of another version of ort-tl`);
  const added = stores.reduce((sum, each) => sum + each.added, 0);
  terminal.print(`${showCount(added)} rows added to ${root}`);
  terminal.json(merged);
}
