import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  checkRunFolder,
  drawingPictures,
  ImageClassifier,
  ImageFolder,
  predict,
  type Summary,
  Trainer,
  whileLocked,
  scoreOf,
} from '../internal.js';
import { shared, wholeNumber } from './sharedFlags.js';
import { readSource } from './sourceModel.js';
import { writeRunArguments } from './runArguments.js';
import { reportTraining } from './report.js';
import { showBytes, showDuration, showPercent, table, Terminal } from './terminal.js';
import type { Verb } from './verb.js';

interface Arguments {
  out: string;
  epochs: number;
  seed: number;
  json: boolean;
}

const POLICIES = ['F1C0', 'F1C1'];
/** So many that both trainings take less than a minute on two cores. */
const PICTURES = { set: 'demo', trainPerClass: 60, valPerClass: 50, size: 96 } as const;

export const verb: Verb<Arguments> = {
  builder: (yargs) =>
    yargs
      .option('out', {
        type: 'string',
        default: join('runs', 'demo'),
        requiresArg: true,
        describe: 'folder for pictures and runs',
      })
      .option('epochs', { type: 'number', default: 8, requiresArg: true, describe: 'passes over the pictures' })
      .option('seed', { type: 'number', default: 0, requiresArg: true, describe: 'of the pictures and the trainings' })
      .option('json', shared.json)
      .example('$0 demo', 'draws pictures into runs/demo, and trains on them twice'),
  handler: (args) => whileLocked(args.out, 'running the demo', () => run(args)),
};

async function run(args: Arguments): Promise<void> {
  const terminal = new Terminal(args);
  const seed = wholeNumber('seed', args.seed, 0);
  const epochs = wholeNumber('epochs', args.epochs, 1);
  const pictures = join(args.out, 'pictures');
  for (const policy of POLICIES) checkRunFolder(join(args.out, policy), { overwrite: true });
  terminal.print(`drawing pictures into ${pictures}`);
  const drawing = drawingPictures(pictures, { ...PICTURES, seed });
  for await (const { done, total } of drawing) terminal.progress('drawing', done, total);
  const dataset = await ImageFolder.open(pictures, { valFraction: 0.2, seed });
  const { model, reference } = await readSource(terminal, 'efficientnet_lite0');
  const summaries: Summary[] = [];
  for (const policy of POLICIES) {
    terminal.print();
    const out = join(args.out, policy);
    const trainer = new Trainer({ model, dataset, policy, out, overwrite: true, epochs, seed });
    summaries.push(
      await reportTraining(terminal, dataset, trainer, async ({ type }) => {
        if (type !== 'compiled') return;
        await writeRunArguments(trainer.place, { model: reference, data: pictures, policy, epochs, seed });
      }),
    );
  }
  const [, tuned] = summaries;
  if (!tuned) throw new Error('unreachable');

  terminal.print();
  terminal.print(`predictions of ${tuned.model}`);
  const classifier = await ImageClassifier.open(tuned.model);
  for (const label of dataset.classes) {
    const folder = join(pictures, 'val', label);
    const [file] = (await readdir(folder)).sort();
    if (!file) continue;
    const [likeliest] = await predict(classifier, join(folder, file));
    terminal.print(`  ${join(label, file)}  ${likeliest?.label ?? '?'}`);
  }
  await classifier.close();

  terminal.print();
  const rows = summaries.map((summary) => [
    summary.policy,
    showPercent(scoreOf(summary)),
    showPercent(summary.cost.trainableParameters / summary.cost.parameters),
    showDuration(summary.elapsedMs),
    showBytes(summary.cost.boundaryBytes),
  ]);
  for (const line of table([['policy', 'top-1', 'trained', 'time', 'boundary'], ...rows])) terminal.print(line);
  terminal.json(summaries);
}
