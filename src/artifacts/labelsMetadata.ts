import { z } from 'zod';
import { messageOf, UserError } from '../errors.js';
import { MOST_BYTES, readRegularFileSync } from '../files.js';
import { machineErrorOf } from '../machineError.js';
import { metadataOf, type ModelFile } from '../onnx/model.js';
import { isOfSeveralLabels, labelsBeside } from './besideModel.js';
import { LONGEST_LABEL, METADATA } from './manifest.js';
import { type Task, USUAL_THRESHOLD } from './task.js';

/** The 21,841 names of ImageNet take 1 MB. */
const MOST_CHARACTERS = 1e7;
const labelsSchema = z.array(z.string().max(LONGEST_LABEL)).min(1);

/**
 * The classes that a model's metadata names, from that entry's JSON; messages call the model `name`.
 * @throws UserError `bad-labels` for what is no list of names, for a name that is too long, and for one that two classes have.
 */
export function readLabels(metadata: string, name: string): string[] {
  return labelsOfJson(
    metadata,
    (reason) => new UserError('bad-labels', `the labels of ${name} are wrong: ${reason}; export the model again`),
  );
}

/**
 * What a model's classes are called: by its metadata, or by Hugging Face's `config.json` beside it.
 * @throws UserError `no-metadata` where neither says it, `bad-labels`, `bad-model-config`.
 */
export function labelsOf({ proto, path }: Pick<ModelFile, 'proto' | 'path'>): string[] {
  const metadata = metadataOf(proto).get(METADATA.labels);
  if (metadata !== undefined) return readLabels(metadata, path);
  const beside = labelsBeside(path);
  if (beside) return beside.said;
  throw new UserError(
    'no-metadata',
    `${path} says nothing of its labels in its metadata, and no config.json beside it does; train it on photos of your classes first (ort-tl train), or name the classes that it has, in a file with one a line (‹labels›)`,
  );
}

/**
 * The classes that a file names: one a line, or a list in JSON.
 * @throws UserError `no-such-file`, `bad-labels`.
 */
export function readLabelsFile(path: string): string[] {
  let text: string;
  try {
    text = new TextDecoder().decode(readRegularFileSync(path, MOST_BYTES.record)).replace(/^\uFEFF/, '');
  } catch (thrown) {
    throw (
      machineErrorOf(thrown) ?? new UserError('no-such-file', `cannot read ${path}: ${messageOf(thrown)} (‹labels›)`)
    );
  }
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  const json = text.trimStart().startsWith('[') ? text : JSON.stringify(lines.filter((line) => line !== ''));
  return labelsOfJson(
    json,
    (reason) => new UserError('bad-labels', `${path} does not name classes: ${reason} (‹labels›)`),
  );
}

function labelsOfJson(metadata: string, refuse: (reason: string) => UserError): string[] {
  if (metadata.length > MOST_CHARACTERS) throw refuse(`they take ${metadata.length} characters`);
  let json: unknown;
  try {
    json = JSON.parse(metadata);
  } catch {
    throw refuse('they are no JSON');
  }
  const parsed = labelsSchema.safeParse(json);
  if (!parsed.success) {
    const at = parsed.error.issues[0]?.path[0];
    throw refuse(
      at === undefined
        ? 'expected a list of names'
        : `expected names of up to ${LONGEST_LABEL} characters, and number ${Number(at) + 1} is none`,
    );
  }
  const seen = new Set<string>();
  for (const label of parsed.data) {
    if (seen.has(label)) throw refuse(`two classes are called "${label}"`);
    seen.add(label);
  }
  return parsed.data;
}

/**
 * Whether an image has one of a model's classes, or any number of them as labels: by its metadata, since it ends in a Sigmoid, or by Hugging
 * Face's `config.json` beside it. @throws UserError `bad-model-config`.
 */
export function taskOf({ proto, path }: Pick<ModelFile, 'proto' | 'path'>, endsInSigmoid: boolean): Task {
  const metadata = metadataOf(proto);
  const saysSo = metadata.has(METADATA.labels) ? metadata.get(METADATA.task) === 'labels' : isOfSeveralLabels(path);
  return saysSo || endsInSigmoid ? 'labels' : 'classes';
}

/** From which probability on an image has each of a model's `count` labels. @throws UserError `bad-labels` for thresholds that are none. */
export function thresholdsIn({ proto, path }: Pick<ModelFile, 'proto' | 'path'>, count: number): readonly number[] {
  const text = metadataOf(proto).get(METADATA.thresholds);
  if (text === undefined) return new Array<number>(count).fill(USUAL_THRESHOLD);
  const parsed = z.array(z.number().min(0).max(1)).length(count).safeParse(parsedJson(text));
  if (parsed.success) return parsed.data;
  throw new UserError(
    'bad-labels',
    `the thresholds of ${path} are wrong: expected ${count} probabilities; export the model again`,
  );
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
