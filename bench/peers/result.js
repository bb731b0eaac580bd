// What the processes that measure print, as far as the reports read it.
import { z } from 'zod';

/** JSON has null where a number is not finite; NaN is left out of every median. */
const number = z
  .number()
  .nullish()
  .transform((value) => value ?? NaN);
const spread = z.object({ median: number, min: number, max: number });

export const resultSchema = z.object({
  trainPhotos: number,
  valPhotos: number,
  epochs: z.array(z.object({ seconds: number, trainLoss: number, valLoss: number, top1: number })).default([]),
  /** Since the process started, up to the last epoch's end. */
  trainingS: z.number().optional(),
  /** Before the first epoch. */
  prepareS: z.number().optional(),
  processS: z.number().optional(),
  /** Seconds that all of its cores together computed. */
  cpuS: z.number().optional(),
  warmUpS: z.number().optional(),
  batch: number,
  stepMs: spread.optional(),
  forwardMs: spread.optional(),
  trainedStepMs: spread.optional(),
  helpMs: spread.optional(),
  nodeMs: spread.optional(),
  peakRssBytes: number,
  cost: z
    .object({ forwardMultiplyAdds: number, backwardMultiplyAdds: number })
    .default({ forwardMultiplyAdds: NaN, backwardMultiplyAdds: NaN }),
  multiplyAddsPerSecond: number,
  /** By batch. */
  inferenceMs: z.record(z.string(), spread).default({}),
  /** Of ONNX Runtime's own inference, in the best way. */
  imagesPerSecond: number,
  best: z.object({ sessions: number, threads: number, batch: number }).optional(),
  /** That sharp alone decodes: in its own way, and without the last halving by the decoder. */
  photosPerSecond: number,
  exactPhotosPerSecond: number,
  /** The share of the training thread's time. */
  javascript: number,
  /** By what they are versions of. */
  versions: z.record(z.string(), z.string()).default({}),
});

/** @typedef {z.infer<typeof resultSchema>} Result */
/** @typedef {Result['epochs']} Epochs */
/** @typedef {(result: Result) => number | undefined} Quantity */

/**
 * A quantity of what a record holds.
 * @param {Quantity} quantity
 * @returns {(result: Readonly<Record<string, unknown>>) => number | undefined}
 */
export const reading = (quantity) => (result) => quantity(resultSchema.parse(result));
