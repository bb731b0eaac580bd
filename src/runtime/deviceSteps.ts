import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FILES } from '../artifacts/artifactFiles.js';
import type { Artifacts } from '../artifacts/load.js';
import { loopModel, ofRun, TRIPS } from '../artifacts/loopModel.js';
import { type Manifest, NEXT, STEP_OUTPUTS } from '../artifacts/manifest.js';
import { stepModel, sumsOf } from '../artifacts/stepModel.js';
import { giveBack } from '../giveBack.js';
import { decodeModel, encodeModel } from '../onnx/model.js';
import { elementCount, type Tensor } from '../onnx/tensor.js';
import { Opened } from '../opened.js';
import { deviceFeeds } from './deviceFeeds.js';
import type { PartResult } from './gradientSession.js';
import * as ort from './ort.js';
import { openBytes, runResults, sessionOptions } from './partSessions.js';
import type { Provider } from './providers.js';
import { StateReader } from './stateReader.js';
import type { StepPart, StepSession } from './stepSession.js';
import { stateShapes } from './trainingMemory.js';

/**
 * How a provider of its own memory takes steps: `fed-back`, one part of a batch a run, whose results stay where they are and are what the next
 * takes; `loop`, several in a run, where the binding knows of no memory of the device: state comes and goes once for them all.
 */
export type DeviceWay = 'fed-back' | 'loop';
export const DEVICE_WAYS: Partial<Record<Provider, DeviceWay>> = { cuda: 'loop', webgpu: 'fed-back' };

/** No run takes more steps, or is meant to take longer: it is not interrupted. */
const MOST_STEPS = 8;
const LONGEST_MS = 1000;
/** Nor does what it takes of images hold more bytes. */
const MOST_BYTES = 2 ** 26;

/** Steps with the update in their graph, for a GPU: state stays with it, or moves seldom. */
export class DeviceSteps implements StepSession {
  readonly isInTurn = true;
  /** What the next run takes of the state: memory of the device, or of this thread. */
  private readonly state = new Map<string, ort.Tensor>();
  /** How long a part took in the last run. */
  private partMs = Infinity;

  private constructor(
    private readonly manifest: Manifest,
    private readonly way: DeviceWay,
    private readonly session: ort.InferenceSession,
    private readonly reader: StateReader,
    private readonly opened: Opened,
  ) {
    // Sums of gradients go from run to run where a run takes a part of a batch.
    const kept = [...stateShapes(manifest), ...(way === 'fed-back' ? sumsOf(manifest) : [])];
    for (const [name, shape] of kept) this.put(name, new Float32Array(elementCount(shape)), shape);
  }

  /** @throws UserError `not-loadable` when ONNX Runtime refuses the training graph with its update. */
  static async open(
    { folder, manifest }: Artifacts,
    { threads, provider, way }: { readonly threads: number; readonly provider: Provider; readonly way: DeviceWay },
  ): Promise<DeviceSteps> {
    const path = join(folder, FILES.training);
    const step = stepModel(decodeModel(readFileSync(path), path), manifest);
    const model = way === 'loop' ? loopModel(step, manifest) : step;
    const options = sessionOptions(threads, provider);
    const names = [...stateShapes(manifest).keys(), ...sumsOf(manifest).keys()];
    const preferredOutputLocation = Object.fromEntries(names.map((name) => [name + NEXT, 'gpu-buffer' as const]));
    const stays = way === 'fed-back' && provider === 'webgpu';
    const opened = new Opened();
    try {
      const session = opened.add(
        await openBytes(encodeModel(model), path, stays ? { ...options, preferredOutputLocation } : options),
        (each) => each.release(),
      );
      const reader = opened.add(new StateReader(stateShapes(manifest), options), (each) => each.close());
      return new DeviceSteps(manifest, way, session, reader, opened);
    } catch (thrown) {
      await opened.close();
      throw thrown;
    }
  }

  partsWithin(limitMs: number): number {
    const { batch, microBatch = batch, cost } = this.manifest;
    if (this.way === 'fed-back') return 1;
    const ofStep = Math.ceil(batch / microBatch);
    const inTime = Math.min(limitMs, LONGEST_MS) / (this.partMs * ofStep);
    const steps = Math.floor(Math.min(MOST_STEPS, inTime, MOST_BYTES / (batch * cost.boundaryBytes)));
    return ofStep * Math.max(1, steps);
  }

  async run(parts: readonly StepPart[], meanwhile: () => void): Promise<PartResult[]> {
    meanwhile();
    const began = performance.now();
    const isLoop = this.way === 'loop';
    const nameOf = isLoop ? ofRun : (name: string) => name;
    const given = { ...deviceFeeds(this.manifest, parts, isLoop), ...Object.fromEntries(this.state) };
    const inputs = new Set(this.session.inputNames);
    const feeds = Object.entries(given).flatMap(([name, value]) =>
      inputs.has(nameOf(name)) ? [[nameOf(name), value] as const] : [],
    );
    const trips = new ort.Tensor('int64', BigInt64Array.of(BigInt(parts.length)), []);
    const results = await runResults(FILES.training, this.session, {
      ...Object.fromEntries(feeds),
      ...(isLoop ? { [TRIPS]: trips } : {}),
    });
    this.partMs = (performance.now() - began) / parts.length;
    for (const name of this.state.keys()) this.replace(name, resultOf(results, nameOf(name + NEXT)));
    const losses = resultOf(results, nameOf(STEP_OUTPUTS.loss)).data as Float32Array;
    const logits = resultOf(results, nameOf(STEP_OUTPUTS.logits)).data as Float32Array;
    const width = logits.length / losses.length;
    return Array.from(losses, (loss, n) => ({ loss, logits: logits.subarray(n * width, (n + 1) * width) }));
  }

  tensorOf(name: string): ort.Tensor {
    const value = this.state.get(name);
    if (!value) throw new Error(`nothing is kept of "${name}"`);
    return value;
  }

  readState(): Promise<ReadonlyMap<string, Float32Array<ArrayBuffer>>> {
    return this.reader.read(this.state);
  }

  writeState(state: ReadonlyMap<string, Tensor>): void {
    for (const [name, shape] of stateShapes(this.manifest)) {
      const from = state.get(name);
      if (from) this.put(name, Float32Array.from(from.data as Float32Array), shape);
    }
  }

  async close(): Promise<void> {
    for (const value of this.state.values()) letGo(value);
    this.state.clear();
    await this.opened.close();
  }

  /** @param values that nobody else has. */
  private put(name: string, values: Float32Array, shape: readonly number[]): void {
    this.replace(name, new ort.Tensor('float32', values, shape));
  }

  private replace(name: string, value: ort.Tensor): void {
    const before = this.state.get(name);
    this.state.set(name, value);
    if (before) letGo(before);
  }
}

function resultOf(results: Readonly<Record<string, ort.Tensor>>, name: string): ort.Tensor {
  const result = results[name];
  if (!result) throw new Error(`the step gives no "${name}"`);
  return result;
}

/** Gives memory back that would wait for the garbage collector, the device's above all. */
function letGo(value: ort.Tensor): void {
  if (value.location === 'gpu-buffer') value.dispose();
  else if (ArrayBuffer.isView(value.data)) giveBack([value.data.buffer]);
}
