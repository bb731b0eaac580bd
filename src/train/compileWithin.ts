import { compile, type Compiled } from '../artifacts/compile.js';
import type { Manifest } from '../artifacts/manifest.js';
import { mixesPhotos } from '../data/augment/augmentation.js';
import { balancedClassWeights, balancedLabelWeights } from '../data/classBalance.js';
import { labelCounts } from '../data/labels.js';
import { UserError } from '../errors.js';
import { memoryBytes as machineBytes } from '../memoryLimit.js';
import type { ModelFile } from '../onnx/model.js';
import { readSafetensors } from '../onnx/safetensors.js';
import { elementCount } from '../onnx/tensor.js';
import { probeBlockSize } from '../runtime/blockSize.js';
import { sessionBytes } from '../runtime/modelRunner.js';
import { checkFunction } from './functionCheck.js';
import { BYTES_PER_SESSION, imagesOfPart, type Parallel, stepSessions } from './stepSessions.js';
import type { Settings, TrainOptions } from './trainOptions.js';
import { makesNewViews } from './views.js';

/** What a process takes beside the training's tensors, as measured: Node.js, ONNX Runtime and sharp, models, rows in memory. */
const OVERHEAD_BYTES = 230e6;
/** What the first session of the frozen part adds while photos are read, as measured: what it computes of an image, and copies of its weights. */
const FIRST_SESSION_BYTES = 1.5e7;
const WEIGHT_COPIES = 1.1;
/** What ONNX Runtime's arena holds for each byte that lies in it, as measured. */
const ARENA = 1.12;
/** Which share of the machine's memory the sessions of a step may take where nothing limits them. */
const SHARE_OF_MEMORY = 0.5;
/** Copies of parameters and moments on their way to a checkpoint, beside those that train. */
const STATE_COPIES = 2;

/** What has a say in how a training is compiled: plain data, which another process can be given. */
export interface Planning {
  readonly settings: Settings;
  readonly classes: readonly string[];
  /** What each class weighs in the loss, where they differ. */
  readonly classWeights?: readonly number[];
  /** Of labels: the share of photos to train with that have each, as the weights make it. */
  readonly labelShares?: readonly number[];
  /** What cores share in a step. */
  readonly parallel: Parallel;
  /** A safetensors file of parameters to begin with. */
  readonly init?: string;
  /** The most bytes that the process may take, where it is to be fitted into them. */
  readonly memoryBytes?: number;
  /** Whether the same was held against the source model before, for other classes. */
  readonly isChecked?: boolean;
}

export function planningOf(options: TrainOptions, settings: Settings): Planning {
  const { dataset, init, memoryBytes, resume, parallel = 'auto' } = options;
  const { task, classWeights: weights } = settings;
  const { classes, train } = dataset;
  const balanced = task === 'labels' ? balancedLabelWeights : balancedClassWeights;
  const classWeights = weights === 'balanced' ? [...balanced(train, classes.length)] : weights;
  return {
    settings,
    classes,
    parallel,
    ...(classWeights === 'equal' ? {} : { classWeights }),
    ...(task === 'labels' ? { labelShares: sharesOf(dataset, classWeights) } : {}),
    // A run that goes on has learned more since.
    ...(init === undefined || resume ? {} : { init }),
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
  };
}

/** The share of photos to train with that have each label, those with it counting as often as they weigh. */
function sharesOf({ classes, train }: TrainOptions['dataset'], weights: 'equal' | readonly number[]): number[] {
  return labelCounts(train, classes.length).map((count, label) => {
    const weight = weights === 'equal' ? 1 : (weights[label] ?? 1);
    const all = weight * count + train.length - count;
    return all > 0 ? (weight * count) / all : 1 / 2;
  });
}

/**
 * Compiles for whole batches, or for what the memory allows: first activations are computed again, then runs are made of fewer images.
 * Then holds what was compiled against the source model, unless that was done.
 * @throws UserError `too-little-memory`, `other-function`, and what `compile` throws.
 */
export async function compileWithin(model: ModelFile, planning: Planning): Promise<Plan> {
  const { compiled, settings } = await planWithin(model, planning);
  if (!planning.isChecked) await checkFunction(model, compiled, settings.threads);
  if (settings.precision === 'mixed' && settings.provider === 'cpu') compiled.manifest.warnings.push(ON_CPU);
  return { compiled, settings };
}

const ON_CPU =
  'the CPU computes in float32 what mixed precision rounds to float16, and takes longer; it pays on GPUs (‹precision›, ‹provider›)';

/** A compiled training, and the settings that fit into the memory. */
interface Plan {
  readonly compiled: Compiled;
  readonly settings: Settings;
}

async function planWithin(
  model: ModelFile,
  { settings, classes, classWeights, labelShares, parallel, init, memoryBytes }: Planning,
): Promise<Plan> {
  const { classWeights: asked, preprocessing, size, ...choices } = settings;
  const begun = init === undefined ? undefined : readSafetensors(init).tensors;
  // The provider's own layout, where it has one: what is compiled here is run here.
  const isBlocked = settings.provider === 'cpu' && settings.precision === 'fp32';
  const blockSize = isBlocked ? await probeBlockSize() : undefined;
  const compilePlan = (microBatch: number, recompute: boolean, sessions = 1) => ({
    compiled: compile(model, {
      ...(blockSize ? { blockSize } : {}),
      isForGpu: settings.provider !== 'cpu',
      ...choices,
      init: begun,
      microBatch,
      sessions,
      recompute,
      classes,
      ...(mixesPhotos(settings.augmentation) ? { targets: 'soft' as const } : {}),
      ...(asked !== 'equal' && classWeights ? { classWeights } : {}),
      ...(labelShares ? { labelShares } : {}),
      ...(size ? { size } : {}),
      ...(preprocessing ? { preprocessing } : {}),
    }),
    settings: { ...settings, microBatch, sessions, recompute },
  });
  const bytesOf = ({ compiled }: ReturnType<typeof compilePlan>) =>
    processBytes(compiled.manifest, { newViews: makesNewViews(settings) });
  const whole = settings.microBatch;
  const plain = compilePlan(whole, false);
  const roomBytes = memoryBytes ?? SHARE_OF_MEMORY * machineBytes();
  const sharing = stepSessions(plain.compiled.manifest, settings, { parallel, roomBytes });
  if (sharing > 1) {
    const images = imagesOfPart(whole, sharing);
    const shared = compilePlan(images, false, Math.min(sharing, Math.ceil(whole / images)));
    if (memoryBytes === undefined || bytesOf(shared) <= memoryBytes) return shared;
  }
  if (memoryBytes === undefined || bytesOf(plain) <= memoryBytes) return plain;
  const recomputing = compilePlan(whole, true);
  if (bytesOf(recomputing) <= memoryBytes) return recomputing;

  const needs = [plain, recomputing].map((all) => {
    const { recompute } = all.settings;
    const one = bytesOf(compilePlan(1, recompute));
    // Each image takes as much as another.
    const perImage = (bytesOf(all) - one) / Math.max(1, whole - 1);
    return { recompute, bytesOfRuns: (images: number) => one + (images - 1) * perImage };
  });
  // Computing activations again costs less than runs of half the images.
  for (let images = Math.ceil(whole / 2); ; images = Math.ceil(images / 2)) {
    const plan = needs.find(({ bytesOfRuns }) => bytesOfRuns(images) <= memoryBytes);
    if (plan) return compilePlan(images, plan.recompute);
    if (images > 1) continue;
    const megabytes = (bytes: number) => `${Math.ceil(bytes / 1e6)} MB`;
    const least = Math.min(...needs.map(({ bytesOfRuns }) => bytesOfRuns(1)));
    throw new UserError(
      'too-little-memory',
      `policy ${settings.policy} takes about ${megabytes(least)} even with one image at a time, more than the ${megabytes(memoryBytes)} allowed (‹memoryBytes›); choose a policy that trains fewer layers`,
    );
  }
}

/** What a training takes of the machine's memory, as far as it can be told beforehand: the boundary of the photos comes on top where it is not on the disk. */
export interface TrainingBytes {
  /** From its beginning to its end. */
  readonly always: number;
  /** The first session of the frozen part, and each further one; 0 where all trains. */
  readonly firstSession: number;
  readonly session: number;
  readonly steps: number;
}

export function trainingBytes({
  cost,
  parameters,
  sessions = 1,
}: Pick<Manifest, 'cost' | 'parameters' | 'sessions'>): TrainingBytes {
  const stateBytes = parameters.reduce(
    (sum, { shape, moments, average }) =>
      sum + 4 * elementCount(shape) * (1 + moments.length + (average === undefined ? 0 : 1)),
    0,
  );
  const hasFrozen = cost.frozenMultiplyAdds > 0;
  const frozenWeights = 4 * Math.max(0, cost.parameters - cost.trainableParameters);
  return {
    always: OVERHEAD_BYTES + STATE_COPIES * stateBytes,
    firstSession: hasFrozen ? FIRST_SESSION_BYTES + WEIGHT_COPIES * frozenWeights : 0,
    session: hasFrozen ? sessionBytes(frozenWeights) : 0,
    steps: ARENA * cost.trainingMemoryBytes + (sessions - 1) * BYTES_PER_SESSION,
  };
}

/** The least that a training takes: sessions of the frozen part have closed when steps begin, unless every epoch has `newViews`. */
export function processBytes(
  manifest: Pick<Manifest, 'cost' | 'parameters' | 'sessions'>,
  { newViews = false }: { readonly newViews?: boolean } = {},
): number {
  const { always, firstSession, steps } = trainingBytes(manifest);
  return always + (newViews ? firstSession + steps : Math.max(firstSession, steps));
}
