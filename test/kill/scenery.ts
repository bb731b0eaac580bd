import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { drawPictures } from '../../src/data/pictures.js';
import { main } from './command.js';

export const SMALL_MODEL = fileURLToPath(new URL('../../models/small_cnn.onnx', import.meta.url));

/** What every try begins with. Nothing is written here afterwards. */
export interface Scenery {
  /** Drawn pictures, below train/ and val/. */
  readonly pictures: string;
  /** A finished run on them, F1C1. */
  readonly tuned: string;
  /** Another one, F1C0 with another seed: what is to be replaced. */
  readonly older: string;
  /** Features of both. */
  readonly cache: string;
}

/**
 * Makes it, unless it is there since an earlier call.
 * @param size in pictures a class.
 */
export async function makeScenery(root: string, size: number): Promise<Scenery> {
  const scenery = {
    pictures: join(root, 'pictures'),
    tuned: join(root, 'tuned'),
    older: join(root, 'older'),
    cache: join(root, 'cache'),
  };
  const finished = join(root, `finished-${size}`);
  if (existsSync(finished)) return scenery;
  rmSync(root, { recursive: true, force: true });
  mkdirSync(root, { recursive: true });
  const trainPerClass = size;
  const valPerClass = Math.ceil(size / 2);
  await drawPictures(scenery.pictures, { set: 'demo', trainPerClass, valPerClass, seed: 0 });
  train(scenery.tuned, 'F1C1', 0);
  train(scenery.older, 'F1C0', OLDER_SEED);
  writeFileSync(finished, '');
  return scenery;

  function train(out: string, policy: string, seed: number): void {
    const words = ['--model', SMALL_MODEL, '--data', scenery.pictures, '--cache', scenery.cache];
    const settings = ['--policy', policy, '--seed', String(seed), '--epochs', '1', '--out', out];
    const { status, stderr } = spawnSync(process.execPath, [main, 'train', ...words, ...settings, '--quiet'], {
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`cannot prepare the tries: ${stderr}`);
  }
}

export const OLDER_SEED = 7;
