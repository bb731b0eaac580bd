import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { isSameFile, sha256, writeFilesAtomically } from '../files.js';
import { refuseForeign } from '../foreignFiles.js';
import { whileLocked } from '../lock.js';
import { encodeSafetensors, readSafetensors } from '../onnx/safetensors.js';
import { UserError } from '../errors.js';
import { jsonText } from '../text.js';
import type { SharedParameters } from './federation.js';

/** What parameters are worth on the photos that validate. */
export interface FitMetrics {
  readonly loss: number;
  /** Where photos have one class: the share whose class is right, and how many those are. */
  readonly top1?: number;
  readonly correct?: number;
  /** Where photos have any number of labels: the mean average precision. */
  readonly map?: number;
  /** Photos that were evaluated. */
  readonly evaluated: number;
}

/** `fit.json`. */
export interface FitReport {
  readonly format: 1;
  readonly version: string;
  /** What has to be the same on all devices that train together. */
  readonly fingerprint: string;
  readonly policy: string;
  readonly task: 'classes' | 'labels';
  readonly classes: readonly string[];
  /** Photos that could be read. `byClass` counts those that train. */
  readonly photos: {
    readonly train: number;
    readonly val: number;
    readonly byClass: Readonly<Record<string, number>>;
  };
  readonly skipped: readonly { readonly path: string; readonly reason: string }[];
  readonly epochs: number;
  readonly learningRate: number;
  readonly optimizer: string;
  readonly batch: number;
  readonly proximal: number;
  readonly seed: number;
  /** Steps that were taken in all. */
  readonly steps: number;
  /** The mean loss of each epoch's photos, without what `proximal` adds. */
  readonly trainLoss: readonly number[];
  /** On the photos that validate, with the parameters that were given, and with those that it gives; null where there are none. */
  readonly before: FitMetrics | null;
  readonly after: FitMetrics | null;
  /** Photos whose features were computed in this call, and those that were in the cache. */
  readonly features: { readonly computed: number; readonly kept: number };
  readonly seconds: {
    readonly total: number;
    readonly features: number;
    readonly training: number;
    readonly evaluation: number;
  };
  /** Of the whole call, gross; null where nothing measures, which `energyNotMeasured` says why. */
  readonly joules: number | null;
  readonly energyEstimated?: true;
  readonly energyNotMeasured?: string;
  /** What goes over a network: all parameters as float32. */
  readonly parameterBytes: number;
}

/** What a device gives back. */
export interface FitResult {
  readonly report: FitReport;
  readonly parameters: SharedParameters;
}

/** The files of a result, in its folder. */
export const FIT_FILES = { parameters: 'parameters.safetensors', report: 'fit.json' } as const;
/** In the metadata of the parameters. */
const MARK = 'ort_tl.fit';

/**
 * Writes parameters and report into `folder`, the report last. It has the SHA-256 of the parameters (`parametersSha256`), so that whoever finds
 * both knows that they belong together. An earlier result is replaced.
 * @throws UserError `write-failed`, `folder-in-use`, as `checkFitPlace` does.
 */
export async function writeFit(folder: string, { report, parameters }: FitResult): Promise<void> {
  const parts = encodeSafetensors(parameters, { [MARK]: report.fingerprint });
  const json = jsonText({ ...report, parametersSha256: sha256(...parts) }, 2);
  await whileLocked(folder, 'writing what a device has learned', () =>
    writeFilesAtomically([
      { path: join(folder, FIT_FILES.parameters), parts },
      { path: join(folder, FIT_FILES.report), parts: [`${json}\n`] },
    ]),
  );
}

/**
 * Looks whether a result may be written into `folder`.
 * @param given the file of parameters that is read, which may be replaced.
 * @throws UserError `foreign-files` for other files by the names of a result's.
 */
export function checkFitPlace(folder: string, given?: string): void {
  const parameters = join(folder, FIT_FILES.parameters);
  const isGiven = given !== undefined && isSameFile(parameters, given);
  const foreign = [
    ...(isGiven || isOwnParameters(parameters) ? [] : [FIT_FILES.parameters]),
    ...(isOwnReport(join(folder, FIT_FILES.report)) ? [] : [FIT_FILES.report]),
  ];
  refuseForeign(folder, foreign, 'what a device has learned');
}

function isOwnParameters(path: string): boolean {
  try {
    return MARK in readSafetensors(path).metadata;
  } catch (thrown) {
    if (thrown instanceof UserError) return false;
    throw thrown;
  }
}

const ownReport = z.looseObject({ format: z.literal(1), fingerprint: z.string(), trainLoss: z.array(z.unknown()) });

function isOwnReport(path: string): boolean {
  try {
    return ownReport.safeParse(JSON.parse(readFileSync(path, 'utf8'))).success;
  } catch {
    return false;
  }
}
