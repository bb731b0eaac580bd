import { z } from 'zod';
import { optimizerSchema } from '../optim/optimizer.js';
import { LOSS_SCALING, PIXELS, STEP_INPUTS, STEP_OUTPUTS } from '../plain/ownNames.js';
import { tasks } from './task.js';

const shape = z.array(z.number().int().nonnegative());
/** The longest side of an image that a model is asked to take, and the most pixels: beyond them, one photo would fill the memory. */
export const LARGEST_SIDE = 8192;
export const MOST_PIXELS = 4096 ** 2;
/** Pixels are 0 to 1, and float32 has to hold what comes of them. */
const LARGEST_SCALE = 1e6;
const triple = (least: number) => {
  const each = z.number().min(least).max(LARGEST_SCALE);
  return z.tuple([each, each, each]);
};
/** Of a share that is smaller, the photo round it would be larger than is read. */
export const LEAST_SHARE = 0.1;
const side = z.number().int().positive().max(LARGEST_SIDE);

export const preprocessingSchema = z
  .object({
    width: side,
    height: side,
    resize: z.enum(['squash', 'crop']),
    /** Which share of each side of the fitted photo is seen, in its middle; all of it where this is absent. */
    cropShare: z.number().min(LEAST_SHARE).max(1).optional(),
    mean: triple(-LARGEST_SCALE),
    std: triple(1 / LARGEST_SCALE),
  })
  .refine(({ width, height }) => width * height <= MOST_PIXELS, {
    path: ['width'],
    error: `expected no more than ${MOST_PIXELS} pixels in all`,
  });

/** The most characters of a class's name; a folder's has up to 255 bytes. */
export const LONGEST_LABEL = 1000;

/** Keys of an exported model's metadata. */
export const METADATA = {
  labels: 'labels',
  /** `labels` where a photo may have several of them, or none; absent where it has one class. */
  task: 'task',
  /** With several labels: from which probability on a photo has each, JSON, in their order. */
  thresholds: 'thresholds',
  preprocessing: 'preprocessing',
  policy: 'ort_tl.policy',
  source: 'ort_tl.source_sha256',
  version: 'ort_tl.version',
  /** In what numbers an exported inference model computes, and how it compares with the tuned model, JSON. */
  precision: 'ort_tl.precision',
  parity: 'ort_tl.parity',
} as const;

/** `manifest.json`: what the artifacts in its folder are. */
export const manifestSchema = z.object({
  /** Of format 1, which earlier versions compiled, the training graph also updates; it is read, and not trained with. */
  format: z.union([z.literal(1), z.literal(2)]),
  /** Who trains with them: this package, or the vendor's on-device training runtime. */
  target: z.enum(['ort-tl', 'onnxruntime-training']).default('ort-tl'),
  version: z.string(),
  source: z.object({
    file: z.string(),
    sha256: z.string(),
    opset: z.number(),
    /** The output that was chosen for the classes, where one was. */
    output: z.string().optional(),
  }),
  policy: z.string(),
  /** What the policy does beyond what was asked, and what it had better not do. */
  notes: z.array(z.string()),
  warnings: z.array(z.string()),
  /** What an image has: one of the classes, or any number of them, which are labels then. */
  task: z.enum(tasks).default('classes'),
  classes: z.array(z.string()).min(1),
  /** Of labels, where they were found: from which probability on an image has each; artifacts have none. */
  thresholds: z.array(z.number()).readonly().optional(),
  /** Fresh layers before the head, from input to head, and their parameters' names. */
  hidden: z.array(z.object({ name: z.string(), units: z.number(), weight: z.string(), bias: z.string() })),
  /** The nodes of the source model that give the scores. */
  heads: z.array(z.string()).default([]),
  /** The layer that takes the place of what is behind the source model's value `on`, and what makes a row for each image of that. */
  freshHead: z
    .object({
      name: z.string(),
      on: z.string(),
      steps: z.array(z.enum(['channels-first', 'tokens-last', 'average', 'flatten'])),
    })
    .optional(),
  dropout: z.number(),
  preprocessing: preprocessingSchema,
  /** Images an update. */
  batch: z.number().int().positive(),
  /** Images a run of the training graph, which takes exactly so many; where it is absent, the batch. */
  microBatch: z.number().int().positive().optional(),
  /** Sessions that take such runs side by side, each a part of the batch; where it is absent, one. */
  sessions: z.number().int().positive().optional(),
  /** Whether the training graph computes activations again for the backward pass. */
  recomputes: z.boolean().optional(),
  /** What the training graph takes for each image: a label, or a row of probabilities. */
  targets: z.enum(['labels', 'soft']).default('labels'),
  labelSmoothing: z.number(),
  classWeights: z.array(z.number()).optional(),
  focalGamma: z.number().default(0),
  /** What labels are trained by; absent where images have one class. */
  binaryLoss: z
    .object({
      loss: z.enum(['bce', 'asymmetric']),
      gammaNegative: z.number(),
      gammaPositive: z.number(),
      probabilityShift: z.number(),
    })
    .optional(),
  optimizer: optimizerSchema,
  /** The largest norm of all gradients together; 0 for any. */
  clipNorm: z.number().default(0),
  /** How much of the parameters' averages stays at a step; 0 where none are kept. */
  averageDecay: z.number().default(0),
  /** `mixed`: the training graph computes in float16 where that pays, with the loss scaled. */
  precision: z.enum(['fp32', 'mixed']).default('fp32'),
  opset: z.number(),
  /** The block of the layout that the training and evaluation graphs are written in; absent where they run anywhere. */
  blockSize: z.union([z.literal(8), z.literal(16)]).optional(),
  layers: z.array(
    z.object({ kind: z.enum(['fc', 'conv', 'norm', 'other']), name: z.string(), parameters: z.array(z.string()) }),
  ),
  /** In the order of the training graph, whose inputs they are. */
  parameters: z.array(
    z.object({
      name: z.string(),
      shape,
      moments: z.array(z.string()),
      /** Its moving average: what is evaluated and exported in its place. */
      average: z.string().optional(),
      /** The training graph's output for its gradient. */
      gradient: z.string().optional(),
      learningRateMultiplier: z.number().default(1),
      /** Whether weight decay takes hold of it. */
      decays: z.boolean().default(true),
    }),
  ),
  /**
   * Running averages of BatchNormalizations that take their statistics from the batch. They go in and out of the training
   * graph as parameters do, but nothing descends on them. The source model's `node` reads each as its input number `input`.
   */
  statistics: z.array(z.object({ name: z.string(), shape, node: z.string(), input: z.number() })),
  /** Parameters that the source model shares with others: its `node` is to read each as its input number `input`. */
  separated: z.array(z.object({ name: z.string(), node: z.string(), input: z.number() })).default([]),
  /**
   * Pairs of parameters that stand beside a matrix of the source model: the tuned model has `weight` + scale · `a` · `b` in its place.
   * `a` is [inputs, rank], `b` is [rank, outputs], and the matrix [inputs, outputs], or the other way round in all three for a 1×1
   * convolution; where `isTransposed` says so, the matrix alone is [outputs, inputs].
   */
  adapters: z
    .array(
      z.object({
        weight: z.string(),
        a: z.string(),
        b: z.string(),
        scale: z.number(),
        isTransposed: z.boolean(),
      }),
    )
    .default([]),
  /** Shapes that the source model's Reshapes behind the head get, where they stated the old number of classes. */
  reshapes: z.array(z.object({ node: z.string(), shape: z.array(z.number().int()) })).default([]),
  /** Constants that have another size with the new classes; the source model's `node` reads each as its input number `input`. */
  constants: z
    .array(z.object({ name: z.string(), shape, values: z.array(z.number()), node: z.string(), input: z.number() }))
    .default([]),
  /** How the frozen part was quantized that runs in place of the one in float; absent where none was. */
  frozen: z
    .object({
      precision: z.literal('int8'),
      calibration: z.object({ method: z.enum(['min-max', 'percentile', 'entropy']), photos: z.number() }),
      /** Whether weights have 7 bits, for processors that add products of bytes in 16. */
      reducesRange: z.boolean(),
      /** Nodes in whole numbers, by the names of their results. */
      nodes: z.array(z.string()),
      /** The least and the largest number of each activation that they read or write. */
      ranges: z.record(z.string(), z.tuple([z.number(), z.number()])),
    })
    .optional(),
  /** What the frozen part hands to the trained part, shapes for one image. */
  boundary: z.array(z.object({ name: z.string(), dtype: z.enum(['float32', 'float16', 'uint8']), shape })),
  cost: z.object({
    parameters: z.number(),
    trainableParameters: z.number(),
    boundaryBytes: z.number(),
    frozenMultiplyAdds: z.number(),
    forwardMultiplyAdds: z.number(),
    backwardMultiplyAdds: z.number(),
    trainingMemoryBytes: z.number(),
    /** What is alive at once while one image is evaluated; artifacts of earlier versions do not tell. */
    evaluationBytes: z.number().optional(),
  }),
  /** SHA-256 of every other file of the folder. */
  files: z.record(z.string(), z.string()),
});

export type Manifest = z.infer<typeof manifestSchema>;
export type TrainedParameter = Manifest['parameters'][number];
export type Preprocessing = z.infer<typeof preprocessingSchema>;

/** Names of the tensors that last from step to step: the parameters, their moments and averages, statistics, and the loss's scale. */
export function stateNames({
  parameters,
  statistics,
  precision,
}: Pick<Manifest, 'parameters' | 'statistics' | 'precision'>): string[] {
  return [
    ...parameters.flatMap(({ name, moments, average }) => [name, ...moments, ...(average ? [average] : [])]),
    ...statistics.map(({ name }) => name),
    ...(precision === 'mixed' ? Object.values(LOSS_SCALING) : []),
  ];
}

/** What a running average of BatchNormalization becomes is called as an output of the training graph. */
export const NEXT = '/next';
/** Grey of red, green and blue as Pillow makes it (ITU-R 601): their sum with these weights, of 65,536, rounded. */
export const LUMA = [19595, 38470, 7471] as const;
export const LUMA_SHIFT = 65536;

export { LOSS_SCALING, PIXELS, STEP_INPUTS, STEP_OUTPUTS };
