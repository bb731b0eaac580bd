import type { ModelProto } from '../onnx/onnx_pb.js';
import { refuseLarge } from '../onnx/refuseLarge.js';
import { dequantize } from './dequantize.js';
import { Draft, type Told } from './draft.js';
import { filledWeights } from './filledWeights.js';
import { floatTypes } from './floatTypes.js';
import { refuseNoImages } from './imageModel.js';
import { imageChannels, unreadInputs } from './imageInput.js';
import { inferenceMode } from './inferenceMode.js';
import { inlineBranches } from './inlineBranches.js';
import { inlineFunctions } from './inlineFunctions.js';
import { giveWay } from './giveWay.js';
import { oneResult } from './oneResult.js';
import { raiseGraphsWithin, raiseOldOpset } from './raiseOpset.js';
import { rowOfScores } from './rowOfScores.js';
import { refuseCycles, refuseOtherFiles, refuseRandom } from './refusals.js';
import { withBatch } from './withBatch.js';

/** A source model that means what its file does, without what few models have; and what was changed. */
export interface PlainForm extends Told {
  /** The source itself, where nothing had to be changed. */
  readonly proto: ModelProto;
}

/** What makes a model plain, in this order: each change finds what those before it have left. */
const CHANGES: readonly ((draft: Draft) => void)[] = [
  refuseNoImages,
  inlineFunctions,
  refuseCycles,
  refuseOtherFiles,
  raiseOldOpset,
  filledWeights,
  floatTypes,
  dequantize,
  inferenceMode,
  unreadInputs,
  inlineBranches,
  raiseGraphsWithin,
  withBatch,
  imageChannels,
];

/** What is done to train a model: one that is run only is taken in whole numbers, and as ONNX Runtime has optimized it. */
const FOR_TRAINING: ReadonlySet<(draft: Draft) => void> = new Set([refuseOtherFiles, dequantize]);

const known = new WeakMap<ModelProto, Map<string | undefined, PlainForm>>();

/**
 * The plain form of a source model: what trains, what is frozen and what is exported are all made of it, so that they are one function.
 * @param path for messages.
 * @param output which of the model's outputs has the classes (‹output›).
 * @throws UserError for a model that is none to train.
 */
export function plainForm(source: ModelProto, path: string, output?: string): PlainForm {
  const forms = known.get(source) ?? new Map<string | undefined, PlainForm>();
  known.set(source, forms);
  let form = forms.get(output);
  if (!form) {
    form = makePlain(source, path, output);
    forms.set(output, form);
    // What is plain is its own plain form.
    known.set(form.proto, new Map([...(known.get(form.proto) ?? []), [undefined, form], [output, form]]));
  }
  return form;
}

/**
 * A source model that is run and not trained, in plain form but for its numbers: a quantized one computes in whole numbers, as its file says.
 * @throws UserError as {@link plainForm} does.
 */
export function runnableForm(source: ModelProto, path: string, output?: string): PlainForm {
  return changed(new Draft(source, path), output, (change) => !FOR_TRAINING.has(change));
}

function makePlain(source: ModelProto, path: string, output: string | undefined): PlainForm {
  refuseLarge(source, path);
  return changed(new Draft(source, path), output, () => true);
}

function changed(
  draft: Draft,
  output: string | undefined,
  isDone: (change: (draft: Draft) => void) => boolean,
): PlainForm {
  const source = draft.model;
  for (const change of CHANGES) if (isDone(change)) change(draft);
  oneResult(draft, output);
  rowOfScores(draft);
  giveWay(draft);
  refuseRandom(draft);
  const { model: proto, notes, warnings } = draft;
  // Before this version of the format, constants that were added would have to be inputs.
  if (proto !== source && proto.irVersion < 4n) proto.irVersion = 4n;
  // In float32 weights may take more than they did.
  if (proto !== source) refuseLarge(proto, draft.path);
  return { proto, notes, warnings };
}
