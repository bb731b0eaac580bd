import {
  compileSettings,
  dataSettings,
  evaluate,
  ImageClassifier,
  openDataset,
  resultOf,
  settleFlags,
} from '../internal.js';
import { knownOfModel, tellOfPreprocessing } from './openClassifier.js';
import { warnOfPhotos } from './report.js';
import { shared } from './sharedFlags.js';
import { findModel } from './sourceModel.js';
import { withSettings } from './settingFlags.js';
import { showCount, showPercent, table, Terminal } from './terminal.js';
import type { Verb } from './verb.js';

interface Arguments {
  model: string;
  labels: string | undefined;
  preprocessing: string | undefined;
  data: string;
  split: 'val' | 'train' | 'test' | 'all';
  json: boolean;
  quiet: boolean;
}

/** Which photos validate, and how many may be unreadable. */
const SETTINGS = { valFraction: dataSettings.valFraction, seed: compileSettings.seed, maxBad: dataSettings.maxBad };
/** More classes than this are summed up. */
const MOST_ROWS = 30;

export const verb: Verb<Arguments> = {
  builder: (yargs) =>
    withSettings(
      yargs
        .option('model', shared.tunedModel)
        .option('labels', shared.labels)
        .option('preprocessing', shared.preprocessing)
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
        }),
      SETTINGS,
      { 'val-fraction': ', as in the training', seed: ', as in the training' },
    )
      .option('json', shared.json)
      .option('quiet', shared.quiet)
      .example('$0 eval --model runs/first/model.onnx --data photos/', 'on the photos that the training validated with')
      .example('$0 eval --model runs/first/model.onnx --data new-photos/ --split all', 'on photos that it never saw'),
  handler: async (args) => {
    const terminal = new Terminal(args);
    const { maxBad, ...split } = settleFlags(SETTINGS, args);
    const dataset = await openDataset(args.data, { ...split, use: 'measuring' });
    warnOfPhotos(terminal, dataset);
    const { path } = await findModel(terminal, args.model);
    const classifier = await ImageClassifier.open(path, 0, knownOfModel(args));
    tellOfPreprocessing(terminal, classifier.stated);
    const evaluating = evaluate(classifier, dataset, {
      split: args.split,
      maxBad,
    });
    const { photos, labels, skipped, ...metrics } = await resultOf(evaluating, (event) => {
      if (event.type === 'skipped') terminal.warn(`skipped: ${event.reason}`);
      else terminal.progress('evaluating', event.done, event.total);
    }).finally(() => classifier.close());
    terminal.result(
      `${showCount(photos)} ${photos === 1 ? 'photo' : 'photos'}: top-1 ${showPercent(metrics.top1)}, top-5 ${showPercent(metrics.top5)}, macro F1 ${showPercent(metrics.macroF1)}, balanced accuracy ${showPercent(metrics.balancedAccuracy)}, loss ${metrics.loss.toFixed(4)}`,
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
