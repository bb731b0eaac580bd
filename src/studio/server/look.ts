import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse as parseCsv } from 'csv-parse/sync';
import { z } from 'zod';
import { UserError } from '../../errors.js';
import { ImageClassifier, PhotoExplainer, predict, type ScoredClass } from '../../index.js';
import { csvLine } from '../../text.js';
import type { Prediction, Predictions, Tried } from '../api.js';
import type { FoundRun } from './runs.js';

/** Models that stay open, the one that was asked last first. */
const MOST_OPEN = 2;
/** Classes that an answer has, at most. */
const MOST_CLASSES = 20;

const rowSchema = z.array(
  z.object({ path: z.string(), class: z.string(), predicted: z.string(), probability: z.coerce.number() }),
);

/** Finds the photo of the project that `predictions.csv` shows as a path; undefined where it is not there any more. */
export type PhotoAt = (path: string) => { readonly path: string; readonly stamp: string } | undefined;

/** A model's file, and what tells whether it has changed. */
export interface LookedAt {
  readonly path: string;
  readonly stamp: string;
}

/** Tells where a model's file is by now: the live head's is another a moment later, and the older one is gone. */
type FindModel = () => Promise<LookedAt>;

interface OpenModel {
  readonly of: string;
  readonly stamp: string;
  classifier?: ImageClassifier;
  explainer?: PhotoExplainer;
}

/** Classifies single photos by trained models, and shows where in them they saw a class. */
export class Look {
  private open: OpenModel[] = [];
  /** Models are opened and closed one after another, and no photo is under way when one is closed. */
  private turn: Promise<unknown> = Promise.resolve();

  /** What a model says of a photo, the likeliest class first. @throws UserError as {@link predict} does. */
  classify(of: string, model: FindModel, photo: Buffer): Promise<ScoredClass[]> {
    return this.inTurn(async () => {
      const { path, stamp } = await model();
      const found = this.modelOf(of, stamp);
      found.classifier ??= await ImageClassifier.open(path);
      return predict(found.classifier, photo);
    });
  }

  /** Where in a photo (its bytes, or its path) a model saw what it says it is; PNG. @throws UserError as {@link PhotoExplainer} does. */
  explain(of: string, model: FindModel, photo: Buffer | string): Promise<Buffer> {
    return this.inTurn(async () => {
      const { path, stamp } = await model();
      const found = this.modelOf(of, stamp);
      found.explainer ??= await PhotoExplainer.open(path);
      return (await found.explainer.explain(photo)).picture;
    });
  }

  async close(): Promise<void> {
    await this.turn.catch(() => undefined);
    await this.closeAfter(0);
  }

  private inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.turn.then(work);
    this.turn = result.catch(() => undefined).then(() => this.closeAfter(MOST_OPEN));
    return result;
  }

  private modelOf(of: string, stamp: string): OpenModel {
    const found = this.open.find((each) => each.of === of && each.stamp === stamp) ?? { of, stamp };
    this.open = [found, ...this.open.filter((each) => each !== found)];
    return found;
  }

  private async closeAfter(kept: number): Promise<void> {
    const old = this.open.splice(kept);
    for (const { classifier, explainer } of old) {
      await classifier?.close().catch(() => undefined);
      await explainer?.close().catch(() => undefined);
    }
  }
}

/** What is shown of a photo's classes. */
export const triedOf = (scored: readonly ScoredClass[], elapsedMs: number): Tried => ({
  classes: scored.slice(0, MOST_CLASSES).map(({ label, probability }) => ({ label, probability })),
  elapsedMs,
});

/**
 * What a run says of the photos that it validated with, those that are still there.
 * @throws UserError `no-predictions` where the run has written none.
 */
export async function predictionsOf({ folder, run, summary }: FoundRun, photoAt: PhotoAt): Promise<Predictions> {
  const text = await readFile(join(folder, 'predictions.csv'), 'utf8').catch(() => undefined);
  const { data: rows } = rowSchema.safeParse(text && parseCsv(text, { columns: true, skip_empty_lines: true }));
  if (!summary || !rows)
    throw new UserError(
      'no-predictions',
      `the run ${run.name} says nothing of single photos: it has not ended yet, or is of an earlier version; train it again`,
    );
  const { classes } = summary;
  // The table shows some names otherwise than they are.
  const places = new Map(classes.map((name, index) => [cellOf(name), index]));
  const photos = rows.flatMap(({ path, class: own, predicted: given, probability }): Prediction[] => {
    const [label, predicted, photo] = [places.get(own), places.get(given), photoAt(path)];
    if (label === undefined || predicted === undefined || !photo) return [];
    return [{ ...photo, label, predicted, probability }];
  });
  return { classes, photos };
}

/** How `predictions.csv` shows a name, or an absolute path. */
export const cellOf = (text: string): string => unquoted(csvLine([text]));

const unquoted = (cell: string) => (cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell);
