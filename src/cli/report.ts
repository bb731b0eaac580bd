import type { Dataset } from '../data/imageFolder.js';
import type { Summary, TrainEvent } from '../train/trainer.js';
import { showBytes, showCount, showDuration, showPercent, type Terminal } from './terminal.js';

/** Shows a training's events as they come, and gives its summary. */
export async function reportTraining(
  terminal: Terminal,
  dataset: Dataset,
  events: AsyncGenerator<TrainEvent, Summary>,
): Promise<Summary> {
  terminal.print(
    `${showCount(dataset.train.length)} photos to train with, ${showCount(dataset.val.length)} to validate, ${dataset.classes.length} classes: ${dataset.classes.join(', ')}`,
  );
  for (;;) {
    const { value, done } = await events.next();
    if (done) return value;
    reportEvent(terminal, value);
  }
}

function reportEvent(terminal: Terminal, event: TrainEvent): void {
  switch (event.type) {
    case 'compiled': {
      const { policy, cost, notes, warnings } = event.manifest;
      const share = showPercent(cost.trainableParameters / cost.parameters);
      terminal.print(
        `policy ${policy}: ${showCount(cost.trainableParameters)} parameters train (${share}), boundary ${showBytes(cost.boundaryBytes)} an image; compiled in ${showDuration(event.elapsedMs)}`,
      );
      for (const note of notes) terminal.print(note);
      for (const warning of warnings) terminal.warn(`warning: ${warning}`);
      break;
    }
    case 'skipped':
      terminal.warn(`skipped: ${event.reason}`);
      break;
    case 'progress':
      terminal.progress(event.phase === 'training' ? `epoch ${event.epoch}` : event.phase, event.done, event.total);
      break;
    case 'epoch': {
      const { epoch, trainLoss, valLoss, top1, elapsedMs } = event.result;
      terminal.print(
        `epoch ${String(epoch).padStart(String(event.epochs).length)}/${event.epochs}  loss ${trainLoss.toFixed(4)}  validation loss ${valLoss.toFixed(4)}  top-1 ${showPercent(top1)}  ${showDuration(elapsedMs)}`,
      );
      break;
    }
    case 'done': {
      const { top1, bestEpoch, elapsedMs, peakRssBytes, model, verified, skipped } = event.summary;
      if (skipped.length > 0) terminal.print(`${skipped.length} unreadable photos were left out`);
      terminal.print(
        `top-1 ${showPercent(top1)} at epoch ${bestEpoch}, in ${showDuration(elapsedMs)}, with ${showBytes(peakRssBytes)} of memory at most`,
      );
      terminal.print(`${model}: the exported model agrees on ${verified.agreeing} of ${verified.photos} photos`);
      break;
    }
  }
}
