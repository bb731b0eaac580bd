import { ImageClassifier, predictAll, type ScoredClass, UserError } from '../internal.js';
import { csvLine, csvPath } from '../text.js';
import { number, shared, wholeNumber } from './sharedFlags.js';
import { findModel } from './sourceModel.js';
import { knownOfModel, tellOfPreprocessing } from './openClassifier.js';
import { photosOf } from './photoList.js';
import { showPercent, Terminal } from './terminal.js';
import type { Verb } from './verb.js';
import { inFlags } from './wording.js';

interface Arguments {
  model: string;
  labels: string | undefined;
  preprocessing: string | undefined;
  photos: string[] | undefined;
  top: number | undefined;
  threshold: number | undefined;
  csv: boolean;
  json: boolean;
}

interface Prediction {
  readonly file: string;
  /** The likeliest classes, the first first. */
  readonly classes?: readonly ScoredClass[];
  /** Those of several labels that it has, the likeliest first. */
  readonly labels?: readonly ScoredClass[];
  readonly error?: string;
}

export const verb: Verb<Arguments> = {
  builder: (yargs) =>
    yargs
      .positional('photos', shared.photos)
      .option('model', shared.tunedModel)
      .option('labels', shared.labels)
      .option('preprocessing', shared.preprocessing)
      .option('top', {
        type: 'number',
        requiresArg: true,
        describe: 'classes to name for each photo (default: 1; of labels those that reach their thresholds)',
      })
      .option('threshold', {
        type: 'number',
        requiresArg: true,
        describe: 'of labels: from which probability on a photo has one (default: what the training found for each)',
      })
      .option('csv', {
        type: 'boolean',
        default: false,
        describe: 'print file,class,probability,… a line each; of labels file,labels,probabilities, with | between',
      })
      .option('json', shared.json)
      .example('$0 predict --model runs/first/model.onnx some.jpg other.png', 'the likeliest class of each')
      .example('$0 predict --model runs/first/model.onnx photos/ --top 3 --csv', 'every photo of a folder')
      .example('$0 predict --model runs/labels some.jpg --threshold 0.7', 'labels that are at least so likely')
      .example('find . -name "*.jpg" | $0 predict --model model.onnx -', 'paths from another program'),
  handler: async (args) => {
    const terminal = new Terminal({ json: args.json });
    if (args.csv && args.json) throw new UserError('bad-arguments', 'expected --csv or --json, not both');
    const shown = shownOf(args);
    const photos = await photosOf(terminal, args.photos ?? [], 'predict');
    const { path } = await findModel(terminal, args.model);
    const classifier = await ImageClassifier.open(path, 0, knownOfModel(args));
    tellOfPreprocessing(terminal, classifier.stated);
    const isLabels = classifier.task === 'labels';
    if (args.threshold !== undefined && !isLabels)
      throw new UserError(
        'bad-arguments',
        `${path} gives each photo one class, whatever its probability; leave out --threshold`,
      );
    const key = isLabels ? 'labels' : 'classes';
    if (args.csv) terminal.result(csvLine(headingOf(args, classifier)));
    const results: Prediction[] = [];
    const names = photos.map(({ name }) => name);
    const predicting = predictAll(
      classifier,
      photos.map(({ content }) => content),
    );
    for await (const outcome of predicting) {
      const file = names[results.length] ?? '';
      if (outcome instanceof UserError) {
        results.push({ file, error: inFlags(outcome.text) });
        terminal.warn(`ort-tl: ${outcome.text}`);
        continue;
      }
      const classes = shown(outcome);
      results.push({ file, [key]: classes });
      if (args.csv)
        terminal.result(
          csvLine([csvPath(file), ...(isLabels && args.top === undefined ? inCells(classes) : cellsOf(classes))]),
        );
      else
        terminal.result(
          `${file}  ${classes.map(({ label, probability }) => `${label} ${showPercent(probability)}`).join(', ') || 'none'}`,
        );
    }
    await classifier.close();
    terminal.json(results);
    if (results.some(({ error }) => error !== undefined)) process.exitCode = 2;
  },
};

/** What is shown of a photo's classes or labels. @throws UserError `bad-arguments`. */
function shownOf({ top, threshold }: Arguments): (scored: readonly ScoredClass[]) => ScoredClass[] {
  const most = top === undefined ? undefined : wholeNumber('top', top, 1);
  const least =
    threshold === undefined
      ? undefined
      : number('threshold', threshold, 'a probability from 0 to 1', (value) => value >= 0 && value <= 1);
  if (most !== undefined && least !== undefined)
    throw new UserError('bad-arguments', 'expected --top or --threshold, not both');
  return (scored) => {
    if (most !== undefined) return scored.slice(0, most);
    const isOfLabels = scored.some((each) => each.threshold !== undefined);
    return isOfLabels
      ? scored.filter((each) => each.probability >= (least ?? each.threshold ?? 0))
      : scored.slice(0, 1);
  };
}

function headingOf({ top }: Arguments, { task, labels }: ImageClassifier): string[] {
  if (task === 'labels' && top === undefined) return ['file', 'labels', 'probabilities'];
  const ranks = Array.from({ length: Math.min(top ?? 1, labels.length) }, (_, rank) => rank + 1);
  return ['file', ...ranks.flatMap((rank) => [`class${rank}`, `probability${rank}`])];
}

const cellsOf = (scored: readonly ScoredClass[]) =>
  scored.flatMap(({ label, probability }) => [label, probability.toFixed(6)]);

/** All labels of a photo in one cell, as lists of photos have them, and their probabilities in another. */
const inCells = (scored: readonly ScoredClass[]) => [
  scored.map(({ label }) => label).join('|'),
  scored.map(({ probability }) => probability.toFixed(6)).join('|'),
];
