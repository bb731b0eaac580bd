import { appendFileSync, existsSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { FILES } from '../artifacts/artifactFiles.js';
import type { Photo } from '../data/photo.js';
import { thumbnailOf } from '../data/thumbnail.js';
import { UserError } from '../errors.js';
import { writeFailed, writeFileAtomically } from '../files.js';
import { type FolderLock, lockFolder } from '../lock.js';
import { isMarked, mark, markerIn } from '../marker.js';
import { onExit } from '../onExit.js';
import { readSafetensors, writeSafetensors } from '../onnx/safetensors.js';
import { csvLine, csvPath, jsonText } from '../text.js';
import type { Tensor } from '../onnx/tensor.js';
import { type EpochResult, resultColumns, type Summary, type TrainEvent } from './events.js';
import { drawConfusion, drawCurves } from './figures.js';
import { type AnyMetrics, thresholdsOf } from './headline.js';
import { labelMistakesOf, labelMistakesPage } from './labelMistakes.js';
import { crossEntropyOf, predictionOf } from './metrics.js';
import { type Mistake, mistakesPage } from './mistakes.js';
import { USE } from './modelCard.js';
import { predictionsCsv } from './predictions.js';
import {
  checkRunFolder,
  checkSource,
  hasLearned,
  isRun,
  makeNext,
  planNext,
  removeNext,
  removePartials,
  runFilesIn,
  settleLocked,
} from './runFiles.js';
import { softmax } from './classify.js';
import { tensorBoardFile } from './tensorboard.js';
import { readThresholds } from './thresholds.js';

/** Mistakes that are shown with their pictures. */
const SHOWN_MISTAKES = 48;
const THUMBNAIL_PIXELS = 160;

/** The best weights. */
export interface Best {
  readonly parameters: ReadonlyMap<string, Tensor>;
  /** Of labels: from which probability on a photo has each. */
  readonly thresholds: readonly number[] | undefined;
}

/** What a run's report is made of. */
interface Reported {
  readonly results: readonly EpochResult[];
  readonly classes: readonly string[];
  /** What the best weights are worth on the photos. */
  readonly metrics: AnyMetrics;
  /** The photos that validate. */
  readonly photos: readonly Photo[];
  /** What the best weights give on them, [photos, classes]. */
  readonly logits: Float32Array;
}

/**
 * The files of a run, but for its checkpoint `last/` (see checkpoint.ts), its artifacts and its model. No other process writes into the
 * folder until it is closed. A run that is to replace another one is written beside it until it has something to show.
 */
export class RunFolder {
  /** Where the new run is written while the old one stays. */
  private next: string | undefined;
  private readonly forget: () => void;

  private constructor(
    private readonly out: string,
    private readonly lock: FolderLock,
  ) {
    this.forget = onExit(() => this.tidy());
  }

  /**
   * Takes the folder, which is made if need be, and sees to what a killed run has left there.
   * @param doing such as `training F1C1`, for whoever wants the folder too.
   * @throws UserError `folder-in-use`, `write-failed`.
   */
  static open(out: string, doing = 'training'): RunFolder {
    const lock = lockFolder(out, doing);
    try {
      settleLocked(out);
      if (isRun(out)) removePartials(out);
      return new RunFolder(out, lock);
    } catch (thrown) {
      lock.release();
      throw thrown instanceof UserError ? thrown : writeFailed(out, thrown);
    }
  }

  /**
   * Makes room for a new run from the model at `source`; the run that is there stays until {@link replaceOld}.
   * @throws UserError as {@link checkRunFolder} does, `bad-arguments` when the model is of the run that is to be replaced, `write-failed`.
   */
  begin(overwrite: boolean, source: string): void {
    checkRunFolder(this.out, { overwrite });
    checkSource(this.out, source);
    try {
      if (hasLearned(this.out)) this.next = makeNext(this.out);
      else if (!isMarked(this.out, 'run')) mark(this.out, 'run');
    } catch (thrown) {
      throw thrown instanceof UserError ? thrown : writeFailed(this.out, thrown);
    }
  }

  /** Whether it still holds the earlier run, and this one has nothing to show yet. */
  get holdsOldRun(): boolean {
    return this.next !== undefined;
  }

  /** Puts this run in the place of the one that it is to replace, if it has not happened yet. @throws UserError `write-failed`. */
  async replaceOld(): Promise<void> {
    if (this.next === undefined) return;
    await planNext(this.out);
    this.next = undefined;
    settleLocked(this.out);
  }

  /** Lets go of the folder. A run that did not come to replace the old one is removed, and so is a folder that holds nothing. */
  close(): void {
    this.forget();
    this.tidy();
    this.lock.release();
  }

  private tidy(): void {
    if (this.next !== undefined) removeNext(this.out);
    else if (runFilesIn(this.out).length === 0) rmSync(markerIn(this.out, 'run'), { force: true });
  }

  /** @throws UserError `folder-in-use` when another process took this one for dead. */
  path(name: string): string {
    this.lock.check();
    return join(this.next ?? this.out, name);
  }

  /** Adds a line to `events.jsonl`. */
  log(event: TrainEvent): void {
    const path = this.path('events.jsonl');
    const before = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
    try {
      appendFileSync(path, `${jsonText({ time: new Date().toISOString(), ...event })}\n`);
    } catch (thrown) {
      // A full disk may have taken a part of the line.
      if (existsSync(path)) truncateSync(path, before);
      throw writeFailed(path, thrown);
    }
  }

  /**
   * Begins `events.jsonl`; of a run that goes on, keeps the whole lines, but for those of epochs that are to be taken again since `finished`
   * of them are saved.
   */
  async startLog(finished: number | undefined): Promise<void> {
    const path = this.path('events.jsonl');
    const lines = finished !== undefined && existsSync(path) ? readFileSync(path, 'utf8').split('\n') : [];
    const kept = lines.filter((line) => {
      try {
        const event = JSON.parse(line) as { type?: string; result?: { epoch?: number } };
        return event.type !== 'epoch' || (event.result?.epoch ?? Infinity) <= (finished ?? 0);
      } catch {
        return false;
      }
    });
    await writeFileAtomically(path, kept.map((line) => `${line}\n`).join(''));
  }

  async writeResults(results: readonly EpochResult[]): Promise<void> {
    const [first] = results;
    const columns = resultColumns.filter((column) => !first || first[column] !== undefined);
    const lines = results.map((line) => columns.map((column) => String(line[column])).join(','));
    await writeFileAtomically(this.path('results.csv'), `${[columns.join(','), ...lines].join('\n')}\n`);
  }

  async writeTensorBoard(results: readonly EpochResult[], startedAtMs: number): Promise<void> {
    let elapsedMs = 0;
    const events = results.map((result) => {
      elapsedMs += result.elapsedMs;
      const named: readonly (readonly [string, number | undefined])[] = [
        ['loss/train', result.trainLoss],
        ['loss/val', result.valLoss],
        ['top1/train', result.trainTop1],
        ['top1/val', result.top1],
        ['top5/val', result.top5],
        ['map/val', result.map],
        ['macro_f1/val', result.macroF1],
        ['micro_f1/val', result.microF1],
        ['learning_rate', result.learningRate],
        ['images_per_second', result.imagesPerSecond],
      ];
      const scalars = new Map(named.flatMap(([tag, value]) => (value === undefined ? [] : [[tag, value] as const])));
      return { wallTime: (startedAtMs + elapsedMs) / 1000, step: result.epoch, scalars };
    });
    const name = `events.out.tfevents.${Math.floor(startedAtMs / 1000)}.ort-tl`;
    await writeFileAtomically(this.path(name), tensorBoardFile(events));
  }

  /**
   * Writes the best weights beside those that `best/` has: until `last/` tells of them, they may not take their place. `steps` are those of
   * an epoch of which they have learned a part.
   */
  async writeBest(
    { parameters, thresholds }: Best,
    { epoch, top1, map, steps }: Pick<EpochResult, 'epoch' | 'top1' | 'map'> & { readonly steps?: number },
    source: string,
  ): Promise<void> {
    const metadata = {
      epoch: String(epoch),
      ...(top1 === undefined ? {} : { top1: String(top1) }),
      ...(map === undefined ? {} : { map: String(map) }),
      ...(thresholds === undefined ? {} : { thresholds: JSON.stringify(thresholds) }),
      ...(steps === undefined ? {} : { steps: String(steps) }),
      source,
    };
    await writeSafetensors(this.nextBest, parameters, metadata);
  }

  /** Has the best weights that were written take their place, if they are of `epoch`; those of another were never told of, and go. */
  async settleBest(epoch: number | undefined): Promise<void> {
    if (!existsSync(this.nextBest)) return;
    if (readSafetensors(this.nextBest).metadata['epoch'] === String(epoch))
      await rename(this.nextBest, this.path(join('best', FILES.checkpoint)));
    else await rm(this.nextBest);
  }

  private get nextBest(): string {
    return this.path(join('best', 'next.safetensors'));
  }

  /** @throws UserError `bad-checkpoint`. */
  readBest(): Best {
    const { tensors, metadata } = readSafetensors(this.path(join('best', FILES.checkpoint)));
    return { parameters: tensors, thresholds: readThresholds(metadata) };
  }

  /** What a reader looks at when the training has ended. Gives whether all of it was written before the signal fired. */
  async writeReport(
    { results, classes, metrics, photos, logits }: Reported,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    await writeFileAtomically(this.path('labels.txt'), classes.map((label) => `${label}\n`).join(''));
    if (signal?.aborted) return false;
    const told = predictionsCsv(photos, logits, classes, thresholdsOf(metrics));
    await writeFileAtomically(this.path('predictions.csv'), told);
    await writeFileAtomically(this.path('curves.svg'), await drawCurves(results));
    if (signal?.aborted) return false;
    if ('map' in metrics) {
      const mistakes = labelMistakesOf(photos, logits, thresholdsOf(metrics) ?? []);
      const page = await labelMistakesPage(mistakes, classes, metrics.classes, photos.length, signal);
      if (page !== undefined) await writeFileAtomically(this.path('mistakes.html'), page);
      return page !== undefined;
    }
    await writeFileAtomically(this.path('confusion.svg'), await drawConfusion(metrics.confusion, classes));
    const { mistakes, total } = await mistakesOf(photos, logits, classes, signal);
    if (signal?.aborted) return false;
    await writeFileAtomically(this.path('mistakes.html'), mistakesPage(mistakes, total, photos.length));
    return true;
  }

  async writeSkipped(skipped: Summary['skipped']): Promise<void> {
    const lines = skipped.map(({ path, reason }) => `${csvLine([csvPath(path), reason])}\n`);
    await writeFileAtomically(this.path('skipped.csv'), `path,reason\n${lines.join('')}`);
  }

  /** Writes the model card, unless somebody has put another text in its place. */
  async writeCard(card: string): Promise<void> {
    const path = this.path('README.md');
    if (existsSync(path) && !readFileSync(path, 'utf8').includes(USE.begins)) return;
    await writeFileAtomically(path, card);
  }

  async writeSummary(summary: Summary): Promise<void> {
    await writeFileAtomically(this.path('summary.json'), `${jsonText(summary, 2)}\n`);
  }
}

/** The photos with a wrong class and the largest loss, of `logits` [photos, classes]. */
async function mistakesOf(
  photos: readonly Photo[],
  logits: Float32Array,
  classes: readonly string[],
  signal: AbortSignal | undefined,
): Promise<{ mistakes: Mistake[]; total: number }> {
  const wrong = photos
    .map((photo, index) => {
      const row = logits.subarray(index * classes.length, (index + 1) * classes.length);
      return { photo, row, predicted: predictionOf(row), loss: crossEntropyOf(row, photo.label) };
    })
    .filter(({ photo, predicted }) => predicted !== photo.label)
    .sort((a, b) => b.loss - a.loss);
  const mistakes: Mistake[] = [];
  for (const { photo, row, predicted } of wrong.slice(0, SHOWN_MISTAKES)) {
    if (signal?.aborted) break;
    const shares = softmax(row);
    mistakes.push({
      path: photo.path,
      actual: classes[photo.label] ?? '',
      given: classes[predicted] ?? '',
      probability: shares[predicted] ?? 0,
      actualProbability: shares[photo.label] ?? 0,
      thumbnail: await thumbnailOf(photo, THUMBNAIL_PIXELS).catch(() => undefined),
    });
  }
  return { mistakes, total: wrong.length };
}
