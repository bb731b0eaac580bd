import { UserError } from '../errors.js';
import { optimizers } from '../optim/optimizer.js';
import type { CompileOptions } from './compile.js';
import { checkStepOptions } from './stepOptions.js';

/** Options with every default filled in. */
export type FilledOptions = CompileOptions &
  Required<
    Pick<
      CompileOptions,
      | 'batch'
      | 'microBatch'
      | 'targets'
      | 'optimizer'
      | 'clipNorm'
      | 'averageDecay'
      | 'seed'
      | 'hidden'
      | 'dropout'
      | 'batchNorm'
      | 'boundaryDtype'
      | 'recompute'
    >
  >;

/** @throws UserError `one-class`, `bad-objective`, `bad-arguments`. */
export function filledOptions(options: CompileOptions): FilledOptions {
  const { batch = 32 } = options;
  const filled: FilledOptions = {
    ...options,
    batch,
    microBatch: options.microBatch ?? batch,
    targets: options.targets ?? 'labels',
    optimizer: options.optimizer ?? optimizers.adamw,
    clipNorm: options.clipNorm ?? 0,
    averageDecay: options.averageDecay ?? 0,
    seed: options.seed ?? 0,
    hidden: options.hidden ?? [],
    dropout: options.dropout ?? 0,
    batchNorm: options.batchNorm ?? 'frozen',
    boundaryDtype: options.boundaryDtype ?? 'float32',
    recompute: options.recompute ?? false,
  };
  check(filled);
  return filled;
}

function check(options: FilledOptions): void {
  const { classes, batch, microBatch, batchNorm } = options;
  if (classes.length < 2)
    throw new UserError('one-class', `a classifier needs two classes or more, got ${classes.length}`);
  checkStepOptions(options, classes.length);
  if (microBatch < batch && (batchNorm === 'batch' || options.dropout > 0)) {
    throw new UserError(
      'bad-arguments',
      `a part of a batch has other statistics than the batch, and drops out by itself; leave out --accumulate and --memory, or ${batchNorm === 'batch' ? '--bn batch' : '--dropout'}`,
    );
  }
}
