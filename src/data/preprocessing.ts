import { z } from 'zod';
import { type Preprocessing, preprocessingSchema } from '../artifacts/manifest.js';
import { UserError } from '../errors.js';

export type { Preprocessing };

/** R, G, B of pixel/255 over ImageNet's training photos: what torchvision, timm and the ONNX model zoo normalise with. */
export const IMAGENET_MEAN: [number, number, number] = [0.485, 0.456, 0.406];
export const IMAGENET_STD: [number, number, number] = [0.229, 0.224, 0.225];

const positive = z.number().positive();
const usable = preprocessingSchema.extend({ std: z.tuple([positive, positive, positive]) });

/**
 * The preprocessing that a model's metadata names, after `JSON.parse`.
 * @throws UserError `bad-preprocessing` with the first field that is wrong.
 */
export function parsePreprocessing(value: unknown): Preprocessing {
  const parsed = usable.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = issue?.path.length ? ` at ${issue.path.join('.')}` : '';
  throw new UserError(
    'bad-preprocessing',
    `the model's preprocessing is wrong${where}: ${issue?.message ?? 'not understood'}; expected width, height, resize (squash or crop), mean and std (R, G, B of pixel/255)`,
  );
}
