import { UserError } from '../errors.js';
import { stepSettings, weightsOfClasses } from '../optim/stepSettings.js';
import type { Tensor } from '../onnx/tensor.js';
import { type Given, settle, type Settled } from '../settings.js';
import { compileSettings, headSettings } from './compileSettings.js';
import type { Task } from './task.js';
import type { PreprocessingOptions } from './preprocessing.js';

const { policy, seed, size, output, precision, boundaryDtype } = compileSettings;
const { accumulate: _, classWeights, ...step } = stepSettings;
const shape = { policy, seed, size, output, precision, boundaryDtype, ...step, ...headSettings };

/** What does not follow from settings alone, but from photos and from the machine that trains. */
interface Circumstances extends PreprocessingOptions {
  /** Whether an image has one of the classes, or any number of them as labels; default `classes`. */
  readonly task?: Task;
  readonly classes: readonly string[];
  /** Of labels: the share of images that have each, at whose log odds the new biases of the head begin; default a half. */
  readonly labelShares?: readonly number[] | undefined;
  /** A factor for the loss of each class, in the classes' order; default 1 for all. */
  readonly classWeights?: readonly number[] | undefined;
  /**
   * Images a run of the training graph; default the batch. A smaller one needs less memory: gradients of several runs add up to the
   * batch's, exactly.
   */
  readonly microBatch?: number;
  /** Sessions that take parts of a batch, of `microBatch` images each, side by side; default 1. */
  readonly sessions?: number;
  /** `soft` takes a float32 row of probabilities for each image in place of its label; default `labels`. */
  readonly targets?: 'labels' | 'soft';
  /**
   * Block size of the CPU provider's blocked layout on the machine that trains (`probeBlockSize` finds it): depthwise
   * convolutions are several times as fast in it. Default none: then every provider and machine runs the artifacts.
   */
  readonly blockSize?: 8 | 16;
  /** Whether another provider than the CPU's is to run the artifacts, for which some gradients take other forms; default no. */
  readonly isForGpu?: boolean;
  /** Trained parameters, and averages of BatchNormalizations that train on batches, to begin with in place of the model's. */
  readonly init?: ReadonlyMap<string, Tensor> | undefined;
  /** Whether the backward pass computes activations again in place of keeping them: less memory, more work; default no. */
  readonly recompute?: boolean;
}

export interface CompileOptions extends Given<typeof shape>, Circumstances {}

type Filled = 'microBatch' | 'sessions' | 'targets' | 'recompute' | 'task' | 'isForGpu';
/** Options with every default filled in. */
export interface FilledOptions
  extends Settled<typeof shape>, Omit<Circumstances, Filled>, Required<Pick<Circumstances, Filled>> {}

/** @throws UserError `one-class`, `bad-objective`, `bad-arguments`, and what a setting that is wrong throws. */
export function filledOptions(options: CompileOptions): FilledOptions {
  const { task = 'classes', classes, preprocessing, resize, blockSize, labelShares } = options;
  const settled = settle(shape, options);
  const filled: FilledOptions = {
    ...settled,
    task,
    classes,
    ...(labelShares ? { labelShares } : {}),
    classWeights: options.classWeights && weightsOf(options.classWeights, classes),
    microBatch: options.microBatch ?? settled.batch,
    sessions: options.sessions ?? 1,
    // Of labels each image has a row.
    targets: task === 'labels' ? 'soft' : (options.targets ?? 'labels'),
    recompute: options.recompute ?? false,
    isForGpu: options.isForGpu ?? false,
    ...(preprocessing === undefined ? {} : { preprocessing }),
    ...(resize === undefined ? {} : { resize }),
    ...(blockSize === undefined ? {} : { blockSize }),
    init: options.init,
  };
  check(filled);
  return filled;
}

function weightsOf(weights: readonly number[], classes: readonly string[]): readonly number[] | undefined {
  settle({ classWeights }, { classWeights: weights });
  return weightsOfClasses(weights, classes);
}

function check(filled: FilledOptions): void {
  const { task, classes, batch, microBatch, sessions, batchNorm, dropout } = filled;
  checkObjective(filled);
  if (classes.length < 1) throw new UserError('no-labels', 'a model needs one label or more, got none');
  if (task === 'classes' && classes.length < 2)
    throw new UserError('one-class', `a classifier needs two classes or more, got ${classes.length}`);
  if (!(microBatch >= 1 && microBatch <= batch && Number.isSafeInteger(microBatch)))
    throw new UserError(
      'bad-arguments',
      `expected a micro-batch from 1 to the batch, ${batch}, got \`${microBatch}\` (‹accumulate›)`,
    );
  if (sessions > Math.ceil(batch / microBatch))
    throw new UserError('bad-arguments', `there are more sessions than parts of a batch: ${sessions}`);
  if (microBatch < batch && (batchNorm === 'batch' || dropout > 0))
    throw new UserError(
      'bad-arguments',
      `a part of a batch has other statistics than the batch, and drops out by itself; leave out ‹accumulate› and ‹memoryBytes›, or ${batchNorm === 'batch' ? '‹batchNorm› batch' : '‹dropout›'}`,
    );
}

/** @throws UserError `bad-objective` for a loss of another task, and for two ways to count less what is easy. */
function checkObjective({ task, loss, focalGamma }: Pick<FilledOptions, 'task' | 'loss' | 'focalGamma'>): void {
  if (loss !== 'asymmetric') return;
  if (task === 'classes')
    throw new UserError(
      'bad-objective',
      'the asymmetric loss is one of photos with several labels, and these have one class each; leave out ‹loss›, or say ‹task› labels',
    );
  if (focalGamma > 0)
    throw new UserError(
      'bad-objective',
      'the asymmetric loss has exponents of its own, ‹gammaNegative› and ‹gammaPositive›; leave out ‹focalGamma›',
    );
}
