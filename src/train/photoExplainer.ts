import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { StatedPreprocessing } from '../artifacts/preprocessing.js';
import type { Unlabelled } from '../data/photo.js';
import { decodePixels } from '../data/decode.js';
import { drawHeatMap, isHeatMap } from '../data/heatMap.js';
import { labelIndex } from '../data/labels.js';
import { UserError } from '../errors.js';
import { refuseForeign } from '../foreignFiles.js';
import { allFinite, notFinite } from '../finite.js';
import { Opened } from '../opened.js';
import { ImageClassifier, type KnownOfModel } from '../runtime/classifier.js';
import { Explainer } from '../runtime/explainer.js';
import { argMax } from '../runtime/argMax.js';
import { nameOf } from './predictPhoto.js';

export interface Explanation {
  /** The class that was looked for. */
  readonly label: string;
  /** The part of the photo that the model sees, with the places that spoke for the class laid over it, as PNG. */
  readonly picture: Buffer;
}

/**
 * Looks whether pictures may be written under these names in a folder: those that were made here are replaced, nothing else.
 * @throws UserError `foreign-files`.
 */
export async function checkPictures(folder: string, names: readonly string[]): Promise<void> {
  const there = names.filter((name) => existsSync(join(folder, name)));
  const foreign: string[] = [];
  for (const name of there) if (!(await isHeatMap(join(folder, name)))) foreign.push(name);
  refuseForeign(folder, foreign, 'a picture');
}

/** The most classes that an error lists. */
const MOST_LISTED = 50;

function someOf(labels: readonly string[]): string {
  const more = labels.length - MOST_LISTED;
  return `${labels.slice(0, MOST_LISTED).join(', ')}${more > 0 ? ` and ${more} others` : ''}`;
}

/** Shows where in photos an exported model saw a class. */
export class PhotoExplainer {
  private constructor(
    private readonly classifier: ImageClassifier,
    private readonly explainer: Explainer,
    private readonly opened: Opened,
  ) {}

  /** @throws UserError as {@link ImageClassifier.open} does. */
  static async open(model: string, known: KnownOfModel = {}): Promise<PhotoExplainer> {
    const opened = new Opened();
    try {
      const classifier = opened.add(await ImageClassifier.open(model, 0, known), (each) => each.close());
      const { preprocessing, labels } = classifier;
      const explainer = opened.add(await Explainer.open(model, preprocessing, labels.length), (each) => each.close());
      return new PhotoExplainer(classifier, explainer, opened);
    } catch (thrown) {
      await opened.close();
      throw thrown;
    }
  }

  /** What is done to photos, and what is to be told of where that comes from. */
  get stated(): StatedPreprocessing {
    return this.classifier.stated;
  }

  /**
   * Where in a photo (a path, the bytes of its file, or a photo that was found) the model saw `label`, or the class that it predicts.
   * @throws UserError `unknown-class`, `unreadable-photo`, `not-finite` where the model gives no numbers.
   */
  async explain(photo: string | Buffer | Unlabelled, label?: string): Promise<Explanation> {
    const { labels, preprocessing } = this.classifier;
    const named = label === undefined ? undefined : labelIndex(labels, label);
    if (named === -1)
      throw new UserError(
        'unknown-class',
        `the model knows no class \`${label ?? ''}\`; it knows ${someOf(labels)} (‹class›)`,
      );
    const pixels = await decodePixels(photo, preprocessing);
    const scores = await this.classifier.run(pixels, 1);
    const index = named ?? argMax(scores, 0, labels.length);
    const map = allFinite(scores) ? await this.explainer.explain(pixels, index) : undefined;
    if (!map || !allFinite(map.heat)) throw notFinite(`the model gives no numbers for ${nameOf(photo)}`);
    const picture = await drawHeatMap(photo, preprocessing, map);
    return { label: labels[index] ?? String(index), picture };
  }

  close(): Promise<void> {
    return this.opened.close();
  }
}
