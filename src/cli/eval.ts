import { evaluate, ImageClassifier, openDataset, resultOf } from '../index.js';
import { warnOfPhotos } from './report.js';
import { share, shared, valFraction, wholeNumber } from './options.js';
import { showCount, showPercent, table, Terminal } from './terminal.js';
import type { Verb } from './verb.js';

interface Arguments {
  model: string;
  data: string;
  split: 'val' | 'train' | 'test' | 'all';
  'val-fraction': number;
  'max-bad': number;
  seed: number;
  json: boolean;
  quiet: boolean;
}

/** More classes than this are summed up. */
const MOST_ROWS = 30;

export const verb: Verb<Arguments> = {
  builder: (yargs) =>
    yargs
      .option('model', shared.tunedModel)
      .option('data', {
        type: 'string',
        demandOption: true,
        requiresArg: true,
        describe: 'photos with their classes, as ort-tl train takes them',
      })
      .option('split', {
        choices: ['val', 'train', 'test', 'all'] as const,
        default: 'val' as const,
        describe: 'which of the photos',
      })
      .option('val-fraction', { type: 'number', default: 0.2, requiresArg: true, describe: 'as in the training' })
      .option('max-bad', {
        type: 'number',
        default: 0.05,
        requiresArg: true,
        describe: 'share of unreadable photos allowed',
      })
      .option('seed', { ...shared.seed, describe: 'of the split, as in the training' })
      .option('json', shared.json)
      .option('quiet', shared.quiet)
      .example('$0 eval --model runs/first/model.onnx --data photos/', 'on the photos that the training validated with')
      .example('$0 eval --model runs/first/model.onnx --data new-photos/ --split all', 'on photos that it never saw'),
  handler: async (args) => {
    const terminal = new Terminal(args);
    const dataset = await openDataset(args.data, {
      seed: wholeNumber('seed', args.seed, 0),
      valFraction: valFraction(args['val-fraction']),
      use: 'measuring',
    });
    warnOfPhotos(terminal, dataset);
    const classifier = await ImageClassifier.open(args.model);
    const evaluating = evaluate(classifier, dataset, {
      split: args.split,
      maxBad: share('max-bad', args['max-bad']),
    });
    const { photos, labels, skipped, ...metrics } = await resultOf(evaluating, (event) => {
      if (event.type === 'skipped') terminal.warn(`skipped: ${event.reason}`);
      else terminal.progress('evaluating', event.done, event.total);
    }).finally(() => classifier.close());
    terminal.result(
      `${showCount(photos)} photos: top-1 ${showPercent(metrics.top1)}, top-5 ${showPercent(metrics.top5)}, macro F1 ${showPercent(metrics.macroF1)}, balanced accuracy ${showPercent(metrics.balancedAccuracy)}, loss ${metrics.loss.toFixed(4)}`,
    );
    if (labels.length <= MOST_ROWS) {
      const lines = metrics.classes.map(({ photos: count, precision, recall, f1 }, index) => [
        labels[index] ?? '',
        count,
        showPercent(precision),
        showPercent(recall),
        showPercent(f1),
      ]);
      terminal.result();
      for (const line of table([['class', 'photos', 'precision', 'recall', 'F1'], ...lines])) terminal.result(line);
    }
    const { found, leftOut } = dataset.contents ?? {};
    terminal.json({ photos, found, leftOut, skipped, labels, ...metrics });
  },
};
