import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { Preprocessing } from '../artifacts/manifest.js';
import { UserError } from '../errors.js';
import type { FileContent } from '../files.js';
import { refuseForeign } from '../foreignFiles.js';
import type { ValueInfoProto } from '../onnx/onnx_pb.js';
import { dtypeOfCode } from '../onnx/tensor.js';
import type { ExportedModel } from './exportModel.js';
import { checkColours } from './inferenceModel.js';

/** What the page consists of; it lies beside the sources, and in the package too. */
const PAGE = new URL('../../src/export/page/', import.meta.url);
const PAGE_FILES = ['index.html', 'classify.js', 'style.css'];
/** What of onnxruntime-web runs a model on any browser's processor. */
const RUNTIME_FILES = ['ort.wasm.min.mjs', 'ort-wasm-simd-threaded.mjs', 'ort-wasm-simd-threaded.wasm'];

const MODEL = 'model.onnx';
const LABELS = 'labels.txt';
const DESCRIPTION = 'model.json';

export interface WebOptions {
  readonly labels: readonly string[];
  readonly preprocessing: Preprocessing;
  /** Whether the model takes photos of any size; default false. */
  readonly bakesPreprocessing?: boolean | undefined;
  readonly softmax?: boolean | undefined;
  /** Whether the model of labels gives probabilities; default false. */
  readonly sigmoid?: boolean | undefined;
  /** Of labels: from which probability on a photo has each. */
  readonly thresholds?: readonly number[] | undefined;
  /** Images that the model takes at once; default any number. */
  readonly batch?: number | undefined;
}

/** What of a page's description no other `model.json` has. */
const descriptionSchema = z.object({ labels: z.array(z.string()), baked: z.boolean(), parity: z.looseObject({}) });

/**
 * Looks at what {@link webFolder} needs, before anything is computed.
 * @throws UserError `foreign-files` when the folder holds files that a page would replace, and no page, `no-onnxruntime-web`.
 */
export function checkWebFolder(folder: string): void {
  findRuntime();
  try {
    descriptionSchema.parse(JSON.parse(readFileSync(join(folder, DESCRIPTION), 'utf8')));
  } catch {
    const names = [...PAGE_FILES, ...RUNTIME_FILES.map((name) => join('ort', name)), MODEL, LABELS, DESCRIPTION];
    refuseForeign(folder, names, 'the page');
  }
}

/**
 * The files of a folder that any static server serves: a page that classifies pictures with the model, offline.
 * @throws UserError `no-onnxruntime-web` where that package, which runs the model in the browser, is not installed.
 */
export async function webFolder(folder: string, exported: ExportedModel, options: WebOptions): Promise<FileContent[]> {
  const runtime = findRuntime();
  const { labels, thresholds, preprocessing, bakesPreprocessing = false } = options;
  const { softmax = false, sigmoid = false, batch = 1 } = options;
  const { graph } = exported.proto;
  const [input, output] = [graph?.input[0], graph?.output[0]];
  if (!graph || !input || !output) throw new Error('the model has no graph');
  if (!bakesPreprocessing) checkColours(takenBy(input), 'the page gives');
  const description = {
    labels,
    ...(thresholds ? { thresholds, endsInSigmoid: sigmoid } : {}),
    preprocessing,
    input: input.name,
    output: output.name,
    channelsFirst: input.type?.tensorType?.shape?.dim[1]?.value.value === 3n,
    baked: bakesPreprocessing,
    endsInSoftmax: softmax,
    batch,
    parity: exported.parity,
  };
  const page = await Promise.all(
    PAGE_FILES.map(async (name) => ({ path: join(folder, name), parts: [await readFile(new URL(name, PAGE))] })),
  );
  const files = await Promise.all(
    RUNTIME_FILES.map(async (name) => ({
      path: join(folder, 'ort', name),
      parts: [await readFile(join(runtime, name))],
    })),
  );
  return [
    ...files,
    { path: join(folder, MODEL), parts: [exported.bytes] },
    { path: join(folder, LABELS), parts: [`${labels.join('\n')}\n`] },
    { path: join(folder, DESCRIPTION), parts: [`${JSON.stringify(description, null, 2)}\n`] },
    ...page,
  ];
}

/** What a model's input takes, as the file states it. */
function takenBy({ name, type }: ValueInfoProto): Parameters<typeof checkColours>[0] {
  const dims = type?.tensorType?.shape?.dim.map(({ value }) =>
    value.case === 'dimValue' ? Number(value.value) : { batch: 1 },
  );
  return { name, dtype: dtypeOfCode(type?.tensorType?.elemType ?? 0), shape: dims };
}

/** The folder of onnxruntime-web's files, beside this package or in the project that the command is called in. */
function findRuntime(): string {
  for (const from of [import.meta.url, join(process.cwd(), 'package.json')]) {
    try {
      return dirname(createRequire(from).resolve('onnxruntime-web/wasm'));
    } catch {
      // Not there.
    }
  }
  throw new UserError(
    'no-onnxruntime-web',
    'the page needs onnxruntime-web, which is not installed; npm install onnxruntime-web@1.30, and export again',
  );
}
