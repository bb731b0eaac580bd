import { ImageClassifier, predict, type ScoredClass, UserError } from '../internal.js';
import { csvLine, csvPath } from '../text.js';
import { shared, wholeNumber } from './sharedFlags.js';
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
  top: number;
  csv: boolean;
  json: boolean;
}

interface Prediction {
  readonly file: string;
  /** The likeliest classes, the first first. */
  readonly classes?: readonly ScoredClass[];
  readonly error?: string;
}

export const verb: Verb<Arguments> = {
  builder: (yargs) =>
    yargs
      .positional('photos', shared.photos)
      .option('model', shared.tunedModel)
      .option('labels', shared.labels)
      .option('preprocessing', shared.preprocessing)
      .option('top', { type: 'number', default: 1, requiresArg: true, describe: 'classes to name for each photo' })
      .option('csv', { type: 'boolean', default: false, describe: 'print file,class,probability,… a line each' })
      .option('json', shared.json)
      .example('$0 predict --model runs/first/model.onnx some.jpg other.png', 'the likeliest class of each')
      .example('$0 predict --model runs/first/model.onnx photos/ --top 3 --csv', 'every photo of a folder')
      .example('find . -name "*.jpg" | $0 predict --model model.onnx -', 'paths from another program'),
  handler: async (args) => {
    const terminal = new Terminal({ json: args.json });
    if (args.csv && args.json) throw new UserError('bad-arguments', 'expected --csv or --json, not both');
    const top = wholeNumber('top', args.top, 1);
    const photos = await photosOf(terminal, args.photos ?? [], 'predict');
    const { path } = await findModel(terminal, args.model);
    const classifier = await ImageClassifier.open(path, 0, knownOfModel(args));
    tellOfPreprocessing(terminal, classifier.stated);
    const ranks = Array.from({ length: Math.min(top, classifier.labels.length) }, (_, rank) => rank + 1);
    if (args.csv)
      terminal.result(csvLine(['file', ...ranks.flatMap((rank) => [`class${rank}`, `probability${rank}`])]));
    const results: Prediction[] = [];
    for (const { name: file, content } of photos) {
      let classes: ScoredClass[];
      try {
        classes = (await predict(classifier, content)).slice(0, top);
      } catch (thrown) {
        if (!(thrown instanceof UserError)) throw thrown;
        results.push({ file, error: inFlags(thrown.text) });
        terminal.warn(`ort-tl: ${thrown.text}`);
        continue;
      }
      results.push({ file, classes });
      if (args.csv)
        terminal.result(
          csvLine([csvPath(file), ...classes.flatMap(({ label, probability }) => [label, probability.toFixed(6)])]),
        );
      else
        terminal.result(
          `${file}  ${classes.map(({ label, probability }) => `${label} ${showPercent(probability)}`).join(', ')}`,
        );
    }
    await classifier.close();
    terminal.json(results);
    if (results.some(({ error }) => error !== undefined)) process.exitCode = 2;
  },
};
