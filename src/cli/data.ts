import {
  compileSettings,
  contactSheet,
  dataSettings,
  imbalanceLine,
  openToSurvey,
  pairLine,
  resultOf,
  settleFlags,
  type Survey,
  survey,
  type SurveyedClass,
  type Together,
  writeFileAtomically,
} from '../internal.js';
import { checkApart, checkPlace } from '../files.js';
import { withSettings } from './settingFlags.js';
import { shared, wholeNumber } from './sharedFlags.js';
import { showCount, showPercent, table, Terminal } from './terminal.js';
import type { Verb } from './verb.js';
import { inFlags } from './wording.js';

interface Arguments {
  path: string;
  read: boolean;
  html: string | undefined;
  'per-class': number;
  json: boolean;
  quiet: boolean;
}

/** Which photos a training takes, how many may be unreadable, and how large its images are. */
const SETTINGS = { ...dataSettings, seed: compileSettings.seed, size: compileSettings.size };
/** Of more classes than this, the largest and the smallest are shown. */
const MOST_ROWS = 40;
const BAR_WIDTH = 24;
/** Photos of the same content, and photos that cannot be read, that are named. */
const MOST_NAMED = 10;

export const verb: Verb<Arguments> = {
  builder: (yargs) =>
    withSettings(
      yargs
        .positional('path', { type: 'string', demandOption: true, describe: 'photos, as ort-tl train takes them' })
        .option('read', {
          type: 'boolean',
          default: true,
          describe: 'read every photo; --no-read counts them alone, at once',
        })
        .option('html', {
          type: 'string',
          requiresArg: true,
          describe: 'write a page with photos of each class, those that are there twice, and those that cannot be read',
        })
        .option('per-class', {
          type: 'number',
          default: 24,
          requiresArg: true,
          describe: 'photos of a class on the page',
        }),
      SETTINGS,
      { 'val-fraction': ', as in the training', seed: ', as in the training' },
    )
      .option('json', shared.json)
      .option('quiet', shared.quiet)
      .example('$0 data photos/', 'what a training would see')
      .example('$0 data photos/ --no-read', 'the counts alone, without reading a photo')
      .example('$0 data photos/ --html photos.html', 'and a page to look at'),
  handler: async (args) => {
    const terminal = new Terminal(args);
    const { size, maxBad, ...split } = settleFlags(SETTINGS, args);
    const perClass = wholeNumber('per-class', args['per-class'], 1);
    const { dataset, problem: refused } = await openToSurvey(args.path, split);
    const { train, val, test = [] } = dataset;
    if (args.html !== undefined) {
      await checkPlace(args.html, 'file', [args.path, ...[...train, ...val, ...test].map(({ path }) => path)]);
      checkApart(args.html, args.path, 'page');
    }
    const surveying = survey(dataset, { reads: args.read, maxBad, ...(size === undefined ? {} : { size }) });
    const found = await resultOf(surveying, (event) => {
      if (event.type === 'progress') terminal.progress('reading photos', event.done, event.total);
    });
    // What is wrong with the whole comes before what is wrong with some photos.
    const problem = refused ?? found.problem;
    report(terminal, found);
    if (args.html !== undefined) {
      const page = await resultOf(contactSheet(dataset, found, perClass), ({ done, total }) => {
        terminal.progress('drawing', done, total);
      });
      await writeFileAtomically(args.html, page);
      terminal.print(args.html);
    }
    terminal.json({
      ...found,
      problem: problem ? { code: problem.code, message: inFlags(problem.text) } : null,
    });
    if (problem) throw problem;
    terminal.print();
    terminal.print(args.read ? 'it can be trained on' : 'by what it holds it can be trained on; no photo was read');
  },
};

function report(terminal: Terminal, found: Survey): void {
  const { task, source, photos, classes, validatesWithTest, content, imbalance, few, warnings, together } = found;
  const used = photos.train + photos.validate + photos.test;
  terminal.result(
    `${source}: ${showCount(used)} photos ${task === 'labels' ? 'with' : 'in'} ${showCount(classes.length)} ${task}: ${showCount(photos.train)} to train with, ${showCount(photos.validate)} to validate${validatesWithTest ? ' (those to test with)' : ''}${photos.test > 0 ? `, ${showCount(photos.test)} kept for testing` : ''}`,
    'bold',
  );
  terminal.result();
  for (const line of table(rowsOf(task === 'labels' ? 'label' : 'class', classes, photos.test > 0)))
    terminal.result(line);
  terminal.result();
  const leftOut = Object.entries(photos.leftOut).map(([reason, count]) => `${showCount(count)} ${reason}`);
  if (leftOut.length > 0) terminal.result(`left out    ${leftOut.join(', ')}`);
  if (together) reportTogether(terminal, together);
  if (content) reportContent(terminal, content, used);
  for (const line of warnings) terminal.warn(`warning: ${line}`);
  for (const line of content?.duplicates.warnings ?? []) terminal.warn(`warning: ${line}`);
  if (imbalance) terminal.warn(`warning: ${imbalanceLine(imbalance)}`);
  if (few.length > 0) {
    const named = few.slice(0, MOST_NAMED).map(({ name, photos: count }) => `"${name}" has ${count}`);
    terminal.warn(
      `warning: some ${task} have few photos to train with (${named.join(', ')}${few.length > MOST_NAMED ? ', …' : ''}); what is learned of them is left to luck: add some`,
    );
  }
}

function reportTogether(terminal: Terminal, { photosByLabels, pairs }: Together): void {
  const counts = Object.entries(photosByLabels).map(([labels, photos]) => `${showCount(photos)} with ${labels}`);
  terminal.result(`labels      ${counts.join(', ')}`);
  for (const pair of pairs) terminal.result(`            ${pairLine(pair)}`);
}

function reportContent(terminal: Terminal, content: NonNullable<Survey['content']>, used: number): void {
  const { sizes, duplicates, unreadable } = content;
  if (sizes) {
    const { smallest, median, largest, input, smaller } = sizes;
    const shown = [smallest, median, largest].map(({ width, height }) => `${width} × ${height}`);
    const small =
      smaller > 0
        ? `; ${showCount(smaller)} (${showPercent(smaller / used)}) are smaller than the ${input} × ${input} that the network takes, and are enlarged`
        : '';
    terminal.result(`sizes       smallest ${shown[0]}, median ${shown[1]}, largest ${shown[2]}${small}`);
  }
  const { acrossSplits, acrossClasses, again, ofTest, groups } = duplicates;
  terminal.result(
    groups.length === 0
      ? 'duplicates  none'
      : `duplicates  ${acrossSplits} validate and train, ${ofTest > 0 ? `${ofTest} test and train or validate, ` : ''}${acrossClasses} in two classes, ${again} again within a class`,
  );
  for (const group of groups.slice(0, MOST_NAMED))
    terminal.print(`            ${group.map(({ path }) => path).join(' = ')}`);
  if (groups.length > MOST_NAMED) terminal.print(`            and ${groups.length - MOST_NAMED} more; --json has all`);
  terminal.result(`unreadable  ${unreadable.length === 0 ? 'none' : showCount(unreadable.length)}`);
  for (const { reason } of unreadable.slice(0, MOST_NAMED)) terminal.print(`            ${reason}`);
  if (unreadable.length > MOST_NAMED)
    terminal.print(`            and ${unreadable.length - MOST_NAMED} more; --json has all`);
}

/** A row for each class, the largest bar for the largest class; of many classes for the largest and the smallest alone. */
function rowsOf(what: string, classes: readonly SurveyedClass[], hasTest: boolean): (string | number)[][] {
  const total = ({ train, validate, test }: SurveyedClass) => train + validate + test;
  const most = classes.reduce((largest, each) => Math.max(largest, total(each)), 1);
  const hasUnreadable = classes.some(({ unreadable }) => unreadable > 0);
  const row = (each: SurveyedClass) => [
    each.name,
    showCount(each.train),
    showCount(each.validate),
    ...(hasTest ? [showCount(each.test)] : []),
    ...(hasUnreadable ? [showCount(each.unreadable)] : []),
    '█'.repeat(Math.max(total(each) > 0 ? 1 : 0, Math.round((BAR_WIDTH * total(each)) / most))),
  ];
  const headings = [
    what,
    'train',
    'validate',
    ...(hasTest ? ['test'] : []),
    ...(hasUnreadable ? ['unreadable'] : []),
    '',
  ];
  if (classes.length <= MOST_ROWS) return [headings, ...classes.map(row)];
  const sorted = [...classes].sort((a, b) => total(b) - total(a));
  const others = classes.length - MOST_ROWS;
  return [
    headings,
    ...sorted.slice(0, MOST_ROWS / 2).map(row),
    [`… ${showCount(others)} more`, ...headings.slice(1).map(() => '')],
    ...sorted.slice(-MOST_ROWS / 2).map(row),
  ];
}
