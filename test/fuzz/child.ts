// One process of the fuzzer: carries out the cases that its parent names, and says how each ended before it takes the next.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeArtifacts } from '../../src/artifacts/artifactFiles.js';
import { compile, type Compiled } from '../../src/artifacts/compile.js';
import { inspect } from '../../src/artifacts/inspectModel.js';
import { loadArtifacts } from '../../src/artifacts/load.js';
import { UserError } from '../../src/errors.js';
import { readModel } from '../../src/onnx/model.js';
import { Random } from '../../src/random.js';
import { Stepper } from '../../src/runtime/stepper.js';
import { SMALL_CNN } from '../models.js';
import { mutate } from './mutate.js';
import { oddCase } from './odd/oddCase.js';
import { tinyModel } from './tinyModel.js';
import { storePhotos } from '../storePhotos.js';

/** What is done to a sound model: bytes of it are changed, or it is written as only some exporters write it. */
export type Kind = 'damaged' | 'odd';

export interface CaseRequest {
  readonly kind: Kind;
  readonly seed: number;
  readonly index: number;
}

export interface CaseResult {
  /** `ok`, `trained`, of odd models `same`, or the code of a UserError; undefined for anything else that was thrown. */
  readonly outcome: string | undefined;
  readonly message: string;
  readonly changes: readonly string[];
  /** The most memory that this process has held so far. */
  readonly peakRssBytes: number;
}

const bases = { tiny: tinyModel(), small: readModel(SMALL_CNN).proto };
const policies = ['F1C0', 'F1C1', 'F1C3', 'F2C2', 'FxC1', 'full'] as const;
const folder = mkdtempSync(join(tmpdir(), 'ort-tl-fuzz-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

/** Shares of the cases that are inspected too, and of the compiled ones that take a step on ONNX Runtime. */
const [INSPECTED, TRAINED] = [0.1, 0.05];

async function carryOut({ kind, seed, index }: CaseRequest): Promise<Omit<CaseResult, 'peakRssBytes'>> {
  const random = new Random(seed).fork(`case ${index}`);
  if (kind === 'odd') return oddCase(random);
  const { bytes, changes } = mutate(random.next() < 0.9 ? bases.tiny : bases.small, random);
  const path = join(folder, 'm.onnx');
  writeFileSync(path, bytes);
  try {
    const model = readModel(path);
    const policy = random.pick(policies);
    const compiled = compile(model, {
      policy,
      classes: ['a', 'b', 'c'],
      batch: 2,
      preprocessing: ([height, width]) => ({ height, width, resize: 'crop', mean: [0, 0, 0], std: [1, 1, 1] }),
    });
    if (random.next() < INSPECTED) inspect(model, { policy, batch: 2 });
    if (random.next() >= TRAINED) return { outcome: 'ok', message: '', changes };
    await takeStep(compiled);
    return { outcome: 'trained', message: '', changes };
  } catch (thrown) {
    if (thrown instanceof UserError) return { outcome: thrown.code, message: thrown.message, changes };
    const message = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    return { outcome: undefined, message, changes };
  }
}

async function takeStep(compiled: Compiled): Promise<void> {
  const artifacts = join(folder, 'artifacts');
  rmSync(artifacts, { recursive: true, force: true });
  await writeArtifacts(compiled, artifacts);
  const stepper = await Stepper.create(loadArtifacts(artifacts), { slots: 2, threads: 1 });
  try {
    const { width, height } = compiled.manifest.preprocessing;
    const pixels = new Uint8Array(2 * width * height * 3).fill(100);
    await storePhotos(stepper, artifacts, { slots: Int32Array.of(0, 1), labels: [0, 1], pixels });
    await stepper.steps({ slots: Int32Array.of(0, 1), learningRates: Float32Array.of(0.01), firstStep: 1 });
    await stepper.evaluate(Int32Array.of(0, 1));
  } finally {
    await stepper.close();
  }
}

process.on('message', (request: CaseRequest) => {
  void carryOut(request).then((result) =>
    process.send?.({ ...result, peakRssBytes: process.resourceUsage().maxRSS * 1024 } satisfies CaseResult),
  );
});
process.send?.('ready');
