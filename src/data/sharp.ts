import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type library from 'sharp';
import type { Sharp, SharpInput, SharpOptions } from 'sharp';
import type { MachineError } from '../errors.js';
import { loadNative, nativeProblem } from '../nativeLibrary.js';

const load = createRequire(import.meta.url);

/** sharp's version; part of every cache's key. It says it itself only where its machine code can be loaded. */
export const sharpVersion = (
  JSON.parse(readFileSync(join(dirname(load.resolve('sharp')), '..', 'package.json'), 'utf8')) as {
    readonly version: string;
  }
).version;

let loaded: typeof library | undefined;

function loadSharp(): typeof library {
  if (loaded) return loaded;
  const own = loadNative('sharp', () => load('sharp') as typeof library);
  // Each photo is decoded once, so a cache would only hold memory; several photos at once use the cores better than several
  // threads within one.
  own.cache(false);
  own.concurrency(1);
  return (loaded = own);
}

/** sharp's own function, loaded at its first use. @throws MachineError `unsupported-machine`. */
export function sharp(input: SharpInput | SharpInput[], options?: SharpOptions): Sharp {
  return loadSharp()(input, options);
}

/** Why sharp does not run on this machine, in one line; undefined where it can be loaded. */
export function sharpProblem(): MachineError | undefined {
  return nativeProblem(loadSharp);
}
