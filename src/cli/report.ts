import {
  type Dataset,
  headlineIn,
  imbalanceLine,
  imbalanceOf,
  scoreOf,
  type Summary,
  type Trainer,
  type TrainEvent,
} from '../internal.js';
import { showBytes, showCount, showDuration, showPercent, showShare, type Terminal } from './terminal.js';

/** More classes than this are counted only. */
const MOST_CLASSES = 20;

/** Shows a training's events as they come, after `onEvent` has seen each, and gives its summary. */
export async function reportTraining(
  terminal: Terminal,
  dataset: Dataset,
  trainer: Trainer,
  onEvent: (event: TrainEvent) => Promise<void> = () => Promise.resolve(),
): Promise<Summary> {
  const { task = 'classes', train, val, test = [], classes } = dataset;
  const others = classes.length > MOST_CLASSES ? ', …' : '';
  terminal.print(
    `${showCount(train.length)} photos to train with, ${showCount(val.length)} to validate, ${test.length > 0 ? `${showCount(test.length)} kept for testing, ` : ''}${classes.length} ${task}: ${classes.slice(0, MOST_CLASSES).join(', ')}${others}`,
  );
  warnOfPhotos(terminal, dataset);
  const imbalance = imbalanceOf(dataset);
  if (imbalance && !trainer.balances) terminal.print(imbalanceLine(imbalance));
  return trainer.run(async (event) => {
    await onEvent(event);
    terminal.event(event);
    reportEvent(terminal, event);
  });
}

/** Tells what was left out of a data set, and what in it may have been meant otherwise. */
export function warnOfPhotos(terminal: Terminal, { contents }: Dataset): void {
  for (const line of contents?.warnings ?? []) terminal.warn(`warning: ${line}`);
}

type EventOf<Type extends TrainEvent['type']> = Extract<TrainEvent, { readonly type: Type }>;

/** Shows an event of a training. */
export function reportEvent(terminal: Terminal, event: TrainEvent): void {
  switch (event.type) {
    case 'compiled':
      reportCompiled(terminal, event);
      break;
    case 'cache':
      reportCache(terminal, event);
      break;
    case 'photos':
      for (const line of event.warnings) terminal.warn(`warning: ${line}`);
      break;
    case 'resumed':
      reportResumed(terminal, event);
      break;
    case 'finished':
      terminal.print('the run has ended by itself, and nothing is left to do');
      break;
    case 'learning-rate':
      terminal.print(`learning rate ${event.learningRate.toPrecision(2)}, found by a range test: ${event.figure}`);
      break;
    case 'features-removed':
      terminal.warn(
        `warning: the features of ${showCount(event.count)} photos or views were removed from the cache while they were in use, and are computed again`,
      );
      break;
    case 'skipped':
      terminal.warn(`skipped: ${event.reason}`);
      break;
    case 'progress':
      reportProgress(terminal, event);
      break;
    case 'epoch':
      reportEpoch(terminal, event);
      break;
    case 'done':
      reportSummary(terminal, event.summary);
      break;
  }
}

function reportCompiled(terminal: Terminal, { manifest, provider, threads, elapsedMs }: EventOf<'compiled'>): void {
  const { policy, cost, batch, microBatch = batch, sessions = 1, recomputes, notes, warnings } = manifest;
  const on = `${provider}${provider === 'cpu' ? ` with ${threads} threads` : ''}`;
  const share = showShare(cost.trainableParameters, cost.parameters);
  terminal.print(
    `policy ${policy}: ${showCount(cost.trainableParameters)} parameters train (${share}), boundary ${showBytes(cost.boundaryBytes)} an image; runs on ${on}; compiled in ${showDuration(elapsedMs)}`,
  );
  if (microBatch < batch)
    terminal.print(
      `a step is run in ${Math.ceil(batch / microBatch)} parts of ${microBatch} images or fewer${sessions > 1 ? `, ${sessions} side by side` : ''}`,
    );
  if (recomputes) terminal.print('activations are computed again for the backward pass, not kept');
  for (const note of notes) terminal.print(note);
  for (const warning of warnings) terminal.warn(`warning: ${warning}`);
}

function reportCache(terminal: Terminal, event: EventOf<'cache'>): void {
  const { folder, slots, rowBytes, neededBytes, freeBytes } = event;
  const size = `${showBytes(slots * rowBytes)} for ${showCount(slots)} ${slots === 1 ? 'photo' : 'photos and views'}`;
  terminal.print(
    neededBytes === 0
      ? `features: ${size}, in ${folder}`
      : `features: ${size}, of which ${showBytes(neededBytes)} are to be written to ${folder}, with ${showBytes(freeBytes)} free`,
  );
}

function reportResumed(terminal: Terminal, { epoch, step, changes }: EventOf<'resumed'>): void {
  terminal.print(`goes on with epoch ${epoch}${step > 0 ? `, after step ${step}` : ''}`);
  if (changes.length === 0) return;
  const told = changes.map(({ name, before, now }) => `${name} was ${before}, and is ${now}`);
  terminal.warn(
    `warning: it goes on elsewhere (${told.join('; ')}), so its weights may differ in their last digits from those of a run that was not stopped`,
  );
}

function reportProgress(terminal: Terminal, { phase, epoch, done, total }: EventOf<'progress'>): void {
  const what = phase === 'training' ? `epoch ${epoch}` : phase;
  terminal.progress(what, done, total, phase === 'looking for a learning rate' ? 'steps' : 'images');
}

function reportEpoch(terminal: Terminal, { result, epochs }: EventOf<'epoch'>): void {
  const { epoch, trainLoss, valLoss, elapsedMs } = result;
  terminal.print(
    `epoch ${String(epoch).padStart(String(epochs).length)}/${epochs}  loss ${trainLoss.toFixed(4)}  validation loss ${valLoss.toFixed(4)}  ${headlineIn(result).title} ${showPercent(scoreOf(result))}  ${showDuration(elapsedMs)}`,
  );
}

function reportSummary(terminal: Terminal, summary: Summary): void {
  const {
    bestEpoch,
    elapsedMs,
    peakRssBytes,
    memoryLimitBytes = Infinity,
    skipped,
    endedBy,
    metric,
    part,
    leftOut,
    frozen,
  } = summary;
  if (endedBy === 'patience') terminal.print(`stopped early: ${metric} has not improved since epoch ${bestEpoch}`);
  if (endedBy === 'time-limit') terminal.print('stopped: the time is up');
  if (skipped.length > 0)
    terminal.print(`${skipped.length} unreadable ${skipped.length === 1 ? 'photo was' : 'photos were'} left out`);
  const at = part ? `after ${part.steps} of ${part.of} steps of epoch ${part.epoch}` : `at epoch ${bestEpoch}`;
  terminal.result(
    `${headlineIn(summary).title} ${showPercent(scoreOf(summary))} ${at}, in ${showDuration(elapsedMs)}, with ${showBytes(peakRssBytes)} of memory at most`,
    'bold',
  );
  if (peakRssBytes > memoryLimitBytes)
    terminal.warn(
      `warning: it took ${showBytes(peakRssBytes)}, more than the ${showBytes(memoryLimitBytes)} allowed: a training is planned for a limit, not stopped at it; leave it as much room, or state a smaller one (--memory)`,
    );
  reportVerified(terminal, summary);
  if (leftOut.length > 0) terminal.warn(`left out, since it was stopped: ${leftOut.join(', ')}`);
  if (frozen) reportFrozen(terminal, frozen);
}

/** Tells whether the exported model does what was evaluated; where it does not, the process exits with 1. */
function reportVerified(terminal: Terminal, { model, verified }: Summary): void {
  if (verified.photos === 0) terminal.result(model);
  else terminal.result(`${model}: the exported model agrees on ${verified.agreeing} of ${verified.photos} photos`);
  if (verified.ok) return;
  terminal.warn(`ort-tl: ${disagreement(model, verified)}`);
  process.exitCode = 1;
}

function reportFrozen(
  terminal: Terminal,
  { photos, calibration, agreeing, top1, map, model }: NonNullable<Summary['frozen']>,
): void {
  terminal.result(
    `its frozen part is in int8 (${calibration.method} of ${calibration.photos} photos): ${top1 ? 'top-1' : 'mAP'} of these ${photos} is ${showPercent((top1 ?? map)?.int8 ?? NaN)}, and ${showPercent((top1 ?? map)?.float32 ?? NaN)} with it in float32 (${model}, which agrees on ${agreeing})`,
  );
}

/** What the exported model does otherwise than the evaluation that chose it. */
function disagreement(model: string, verified: Summary['verified']): string {
  const { photos, differing, largestDifference, scale, tolerance } = verified;
  const by =
    largestDifference === null
      ? 'are no numbers (NaN, or infinite)'
      : `differ by up to ${largestDifference.toPrecision(2)}, where the largest is ${scale.toPrecision(2)} and ${(tolerance * scale).toPrecision(2)} is rounding`;
  return `${model} is not what was evaluated: on ${differing} of ${photos} photos its logits ${by}; it stays for you to look at, with ort-tl eval say: photos may have changed since they were read, or the model computes otherwise for one photo than for several`;
}
