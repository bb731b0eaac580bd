import {
  compileSettings,
  type Dataset,
  dataSettings,
  evaluate,
  type Evaluation,
  ImageClassifier,
  openDataset,
  type OpenOptions,
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
const SETTINGS = {
  task: dataSettings.task,
  valFraction: dataSettings.valFraction,
  seed: compileSettings.seed,
  maxBad: dataSettings.maxBad,
};
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
      { task: ', or the model', 'val-fraction': ', as in the training', seed: ', as in the training' },
    )
      .option('json', shared.json)
      .option('quiet', shared.quiet)
      .example('$0 eval --model runs/first/model.onnx --data photos/', 'on the photos that the training validated with')
      .example('$0 eval --model runs/first/model.onnx --data new-photos/ --split all', 'on photos that it never saw'),
  handler: async (args) => {
    const terminal = new Terminal(args);
    const { maxBad, ...split } = settleFlags(SETTINGS, args);
    const { path } = await findModel(terminal, args.model);
    const classifier = await ImageClassifier.open(path, 0, knownOfModel(args));
    tellOfPreprocessing(terminal, classifier.stated);
    const dataset = await photosFor(classifier, args.data, split).catch(async (thrown: unknown) => {
      await classifier.close();
      throw thrown;
    });
    warnOfPhotos(terminal, dataset);
    const evaluating = evaluate(classifier, dataset, {
      split: args.split,
      maxBad,
    });
    const evaluation = await resultOf(evaluating, (event) => {
      if (event.type === 'skipped') terminal.warn(`skipped: ${event.reason}`);
      else terminal.progress('evaluating', event.done, event.total);
    }).finally(() => classifier.close());
    report(terminal, evaluation);
    const { found, leftOut } = dataset.contents ?? {};
    const { task, photos, labels, skipped, ...metrics } = evaluation;
    terminal.json({ task, photos, found, leftOut, skipped, labels, ...metrics });
  },
};

/** The photos, with what the model tells of each: a class, or labels, unless somebody says which. */
function photosFor({ task }: ImageClassifier, data: string, options: OpenOptions): Promise<Dataset> {
  const own = task === 'labels' && (options.task ?? 'auto') === 'auto' ? { task } : {};
  return openDataset(data, { ...options, ...own, use: 'measuring' });
}

function report(terminal: Terminal, evaluation: Evaluation): void {
  const { photos, labels } = evaluation;
  const of = `${showCount(photos)} ${photos === 1 ? 'photo' : 'photos'}`;
  const rows: (string | number)[][] = [];
  if (evaluation.task === 'labels') {
    const { map, macroF1, microF1, loss, classes } = evaluation;
    terminal.result(
      `${of}: mAP ${showPercent(map)}, macro F1 ${showPercent(macroF1)}, micro F1 ${showPercent(microF1)}, loss ${loss.toFixed(4)}`,
    );
    rows.push(['label', 'photos', 'AP', 'from', 'precision', 'recall', 'F1']);
    for (const [index, each] of classes.entries())
      rows.push([
        ...[labels[index] ?? '', each.photos],
        each.averagePrecision === null ? '-' : showPercent(each.averagePrecision),
        ...[each.threshold, each.precision, each.recall, each.f1].map(showPercent),
      ]);
  } else {
    const { top1, top5, macroF1, balancedAccuracy, loss, classes } = evaluation;
    terminal.result(
      `${of}: top-1 ${showPercent(top1)}, top-5 ${showPercent(top5)}, macro F1 ${showPercent(macroF1)}, balanced accuracy ${showPercent(balancedAccuracy)}, loss ${loss.toFixed(4)}`,
    );
    rows.push(['class', 'photos', 'precision', 'recall', 'F1']);
    for (const [index, { photos: count, precision, recall, f1 }] of classes.entries())
      rows.push([labels[index] ?? '', count, ...[precision, recall, f1].map(showPercent)]);
  }
  if (labels.length > MOST_ROWS) return;
  terminal.result();
  for (const line of table(rows)) terminal.result(line);
}
