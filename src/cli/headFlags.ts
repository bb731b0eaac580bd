import type { CompileOptions } from '../index.js';
import { number, wholeNumber } from './options.js';

export interface HeadArguments {
  hidden: string | undefined;
  dropout: number;
  bn: 'frozen' | 'batch';
}

const ofHead = { requiresArg: true, group: 'Trained layers:' } as const;

/** Flags for the new head, and for the normalizations of trained layers. */
export const headFlags = {
  hidden: { ...ofHead, type: 'string', describe: 'units of fresh layers before the head, such as 512,256' },
  dropout: {
    ...ofHead,
    type: 'number',
    default: 0,
    describe: 'share of the inputs of the head and hidden layers that a step leaves out',
  },
  bn: {
    ...ofHead,
    choices: ['frozen', 'batch'] as const,
    default: 'frozen' as const,
    describe: 'statistics of BatchNormalizations under trained layers: those of the model, or of the batch',
  },
} as const;

/** Reads all of {@link headFlags}. @throws UserError `bad-arguments`. */
export function headOptionsOf({
  hidden,
  dropout,
  bn,
}: HeadArguments): Required<Pick<CompileOptions, 'hidden' | 'dropout' | 'batchNorm'>> {
  return {
    hidden: hidden === undefined ? [] : hidden.split(',').map((units) => wholeNumber('hidden', Number(units), 1)),
    dropout: number('dropout', dropout, 'a share from 0 up to, not including, 1', (value) => value >= 0 && value < 1),
    batchNorm: bn,
  };
}
