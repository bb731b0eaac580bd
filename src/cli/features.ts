import {
  computeFeatures,
  DEFAULT_MODEL,
  defaultCacheFolder,
  featureFlagSettings,
  openDataset,
  parseShard,
  providerCalled,
  resultOf,
  settleFlags,
  showShard,
} from '../internal.js';
import { interruptibly } from './interruptibly.js';
import { reportEvent, warnOfPhotos } from './report.js';
import { withSettings } from './settingFlags.js';
import { shared } from './sharedFlags.js';
import { readSource } from './sourceModel.js';
import { showCount, Terminal } from './terminal.js';
import type { Verb } from './verb.js';

interface Arguments {
  model: string;
  data: string;
  shard: string | undefined;
  json: boolean;
  events: boolean;
  quiet: boolean;
}

export const verb: Verb<Arguments> = {
  builder: (yargs) =>
    withSettings(
      yargs
        .positional('model', { type: 'string', default: DEFAULT_MODEL, describe: shared.model.describe })
        .option('data', {
          type: 'string',
          demandOption: true,
          requiresArg: true,
          describe: 'photos: whatever ort-tl train takes',
        }),
      featureFlagSettings,
    )
      .option('shard', {
        type: 'string',
        requiresArg: true,
        describe:
          'which part of the photos, such as 3/8, the third of eight; auto: as Slurm, Kubernetes, AWS Batch, or SHARD and SHARDS say',
      })
      .option('json', shared.json)
      .option('events', shared.events)
      .option('quiet', shared.quiet)
      .example('$0 features net.onnx --data photos/ --policy F1C1', 'all photos: a training finds their features')
      .example('$0 features net.onnx --data photos/ --shard 2/4 --cache /shared/cache', 'the second of four machines')
      .example('$0 features net.onnx --data photos/ --shard auto', 'in a task of a Slurm array: its part'),
  handler: async (args) => {
    const terminal = new Terminal(args);
    const shard = args.shard === undefined ? undefined : parseShard(args.shard);
    if (shard?.readFrom !== undefined) terminal.print(`shard ${showShard(shard)}, read from ${shard.readFrom}`);
    const { task, valFraction, limit, valLimit, provider, ...settings } = settleFlags(featureFlagSettings, args);
    const cache = settings.cache ?? defaultCacheFolder();
    const dataset = await openDataset(args.data, {
      ...{ task, valFraction, seed: settings.seed },
      ...(limit === undefined ? {} : { limit }),
      ...(valLimit === undefined ? {} : { valLimit }),
    });
    warnOfPhotos(terminal, dataset);
    await interruptibly(
      terminal,
      { doing: 'stopping; what is computed stays in the cache', hint: () => ['the same command computes the rest'] },
      async ({ signal }) => {
        const { model } = await readSource(terminal, args.model, signal);
        const found = await providerCalled(provider);
        const options = { ...settings, model, dataset, cache, signal, provider: found, ...(shard ? { shard } : {}) };
        const summary = await resultOf(computeFeatures(options), (event) => {
          terminal.event(event);
          reportEvent(terminal, event);
        });
        const { photos, computed, kept, skipped, seconds, folder } = summary;
        const unread = skipped.length > 0 ? `, ${showCount(skipped.length)} skipped` : '';
        const part = shard ? ` of shard ${showShard(shard)}` : '';
        terminal.print(
          `${showCount(photos)} photos${part}: ${showCount(computed)} computed, ${showCount(kept)} were there${unread}; ${folder}, ${seconds.toFixed(1)} s`,
        );
        terminal.event({ type: 'done', summary });
        terminal.json(summary);
      },
    );
  },
};
