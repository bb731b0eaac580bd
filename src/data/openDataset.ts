import { stat } from 'node:fs/promises';
import { extname } from 'node:path';
import { UserError } from '../errors.js';
import { type CifarOptions, holdsCifar, openCifar } from './cifar.js';
import { openCsv } from './csvList.js';
import type { Dataset } from './dataset.js';
import { ImageFolder } from './imageFolder.js';
import { openZip } from './zip.js';

/**
 * Opens whatever `path` is: a folder of photos, a folder of CIFAR's binary files or one of them (.bin), a list (.csv), a zip file
 * or a Teachable Machine project (.tm).
 * @throws UserError `unknown-data` for anything else, and what the data set of that kind throws.
 */
export async function openDataset(path: string, options: CifarOptions): Promise<Dataset> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory())
    return (await holdsCifar(path)) ? openCifar(path, options) : ImageFolder.open(path, options);
  switch (extname(path).toLowerCase()) {
    case '.csv':
      return openCsv(path, options);
    case '.zip':
    case '.tm':
      return openZip(path, options);
    case '.bin':
      return openCifar(path, options);
  }
  if (!found) return ImageFolder.open(path, options);
  throw new UserError(
    'unknown-data',
    `${path} is no data set; expected a folder, a list (.csv), a zip file (.zip, .tm) or a CIFAR file (.bin)`,
  );
}
