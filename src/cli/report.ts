import type { Dataset, Summary, Trainer, TrainEvent } from '../index.js';
import { showBytes, showCount, showDuration, showPercent, type Terminal } from './terminal.js';

/** Shows a training's events as they come, and gives its summary. */
export async function reportTraining(terminal: Terminal, dataset: Dataset, trainer: Trainer): Promise<Summary> {
  terminal.print(
    `${showCount(dataset.train.length)} photos to train with, ${showCount(dataset.val.length)} to validate, ${dataset.classes.length} classes: ${dataset.classes.join(', ')}`,
  );
  return trainer.run((event) => {
    reportEvent(terminal, event);
  });
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
    case 'cache': {
      const { folder, slots, rowBytes, neededBytes, freeBytes } = event;
      const size = `${showBytes(slots * rowBytes)} for ${showCount(slots)} ${slots === 1 ? 'photo' : 'photos and views'}`;
      terminal.print(
        neededBytes === 0
          ? `features: ${size}, in ${folder}`
          : `features: ${size}, of which ${showBytes(neededBytes)} are to be written to ${folder}, with ${showBytes(freeBytes)} free`,
      );
      break;
    }
    case 'resumed':
      terminal.print(`goes on with epoch ${event.epoch}${event.step > 0 ? `, after step ${event.step}` : ''}`);
      break;
    case 'learning-rate':
      terminal.print(`learning rate ${event.learningRate.toPrecision(2)}, found by a range test: ${event.figure}`);
      break;
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
      const { top1, bestEpoch, elapsedMs, peakRssBytes, model, verified, skipped, endedBy, metric } = event.summary;
      if (endedBy === 'patience') terminal.print(`stopped early: ${metric} has not improved since epoch ${bestEpoch}`);
      if (endedBy === 'time-limit') terminal.print('stopped: the time is up');
      if (skipped.length > 0) terminal.print(`${skipped.length} unreadable photos were left out`);
      terminal.print(
        `top-1 ${showPercent(top1)} at epoch ${bestEpoch}, in ${showDuration(elapsedMs)}, with ${showBytes(peakRssBytes)} of memory at most`,
      );
      if (verified.photos === 0) terminal.print(model);
      else terminal.print(`${model}: the exported model agrees on ${verified.agreeing} of ${verified.photos} photos`);
      break;
    }
  }
}
