import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as ort from './ort.js';
import { FILES } from '../artifacts/artifactFiles.js';
import type { Artifacts } from '../artifacts/load.js';
import { PIXELS } from '../artifacts/manifest.js';
import { bridgeFrom, type Bridge } from '../cache/bridge.js';
import { FeatureStore, type Layout, readLayout, storeFolder } from '../cache/featureStore.js';
import { fingerprints, pixelFingerprint } from '../cache/fingerprint.js';
import { decodeModel, encodeModel } from '../onnx/model.js';
import type { ModelProto } from '../onnx/onnx_pb.js';
import { elementCount } from '../onnx/tensor.js';
import { openBytes, runPart } from './partSessions.js';
import { bytesOf, newRow, type Row } from './slots.js';

export interface CacheOptions {
  readonly folder: string;
  /** Who makes pixels of photos: another version may make others. */
  readonly decoder: string;
  /** Rows that take no more than this together are kept in memory too; default 64 MB. */
  readonly inMemoryBytes?: number;
}

/** Rows of another policy, by photo: a row's buffers one after another. */
interface DonorRows {
  readonly buffers: readonly Row[];
  readonly count: number;
  /** Whether the row of each key that was asked for is there and undamaged; the buffers hold those that are. */
  readonly isWhole: readonly boolean[];
}

/** How what is left of a frozen part is run. */
interface Running {
  /** The file of the whole frozen part, which messages name. */
  readonly path: string;
  readonly options: ort.InferenceSession.SessionOptions;
}

/** A store of another policy whose rows lie nearer to the photo, and what makes rows of this one of them. */
export class Donor {
  /** Made when it is first needed. */
  private session: ort.InferenceSession | undefined;

  private constructor(
    readonly store: FeatureStore,
    private readonly layout: Layout,
    private readonly bridge: Bridge,
    private readonly running: Running,
  ) {}

  static async open(folder: string, layout: Layout, bridge: Bridge, running: Running): Promise<Donor> {
    return new Donor(await FeatureStore.open(folder, layout), layout, bridge, running);
  }

  async read(keys: readonly string[]): Promise<DonorRows> {
    const sizes = this.layout.values.map(({ shape }) => elementCount(shape));
    const buffers = this.layout.values.map(({ dtype }, index) => newRow(dtype, (sizes[index] ?? 0) * keys.length));
    const isWhole: boolean[] = [];
    let count = 0;
    for (const key of keys) {
      const place = this.store.find(key);
      const row = buffers.map((buffer, index) => {
        const size = sizes[index] ?? 0;
        return bytesOf(buffer.subarray(count * size, (count + 1) * size));
      });
      const whole = place !== undefined && (await this.store.readChecked(place, row));
      if (whole) count++;
      isWhole.push(whole);
    }
    return { buffers, count, isWhole };
  }

  /** Computes `fetches`, the boundary of this run's policy, of the rows. @throws UserError `not-loadable`, `not-runnable`. */
  async run({ buffers, count }: DonorRows, fetches: Record<string, ort.Tensor>): Promise<void> {
    const feeds: Record<string, ort.Tensor> = {};
    const kept = new Set<string>();
    this.layout.values.forEach(({ dtype, shape }, index) => {
      const [name, buffer] = [this.bridge.inputs[index], buffers[index]];
      if (name === undefined || !buffer) return;
      const data = buffer.subarray(0, count * elementCount(shape));
      const same = fetches[name]?.data;
      if (ArrayBuffer.isView(same)) {
        // This policy keeps it too, as it does the pixels.
        new Uint8Array(same.buffer, same.byteOffset, same.byteLength).set(bytesOf(data));
        kept.add(name);
      }
      feeds[name] = new ort.Tensor(dtype, data, [count, ...shape]);
    });
    const computed = Object.fromEntries(Object.entries(fetches).filter(([name]) => !kept.has(name)));
    // The other policy keeps all that this one does.
    if (Object.keys(computed).length === 0) return;
    const { path, options } = this.running;
    this.session ??= await openBytes(encodeModel(this.bridge.model), path, options);
    await runPart(path, this.session, { feeds, fetches: computed });
  }

  async close(): Promise<void> {
    await this.session?.release();
    this.session = undefined;
    await this.store.close();
  }
}

/** Where the rows of a run's policy are kept, and what helps to fill that. */
export interface Features {
  readonly store: FeatureStore;
  readonly donor: Donor | undefined;
}

/** The store for what the frozen part of `artifacts` computes, and the store of another policy that helps to fill it, if any does. */
export async function openFeatures(
  { folder, manifest }: Artifacts,
  { folder: root, decoder }: CacheOptions,
  provider: string,
  options: ort.InferenceSession.SessionOptions,
): Promise<Features> {
  const pixels = pixelFingerprint(manifest.preprocessing, decoder);
  const file = [FILES.quantized, FILES.frozen].find((name) => manifest.files[name] !== undefined);
  const frozen = file === undefined ? undefined : decodeModel(readFileSync(join(folder, file)), join(folder, file));
  const known = frozen ? fingerprints(frozen, pixels) : new Map([[PIXELS, pixels]]);
  const layout: Layout = {
    format: 1,
    runtime: `onnxruntime-node ${ort.runtimeVersion}, ${provider}`,
    values: manifest.boundary.map(({ name, dtype, shape }) => ({ fingerprint: known.get(name) ?? '', dtype, shape })),
    model: manifest.source.file,
    policy: manifest.policy,
  };
  const own = storeFolder(root, layout);
  const wanted = manifest.boundary.map(({ name }) => name);
  const store = await FeatureStore.open(own, layout);
  if (!frozen || file === undefined) return { store, donor: undefined };
  try {
    return {
      store,
      donor: await openDonor({ root, own, layout, wanted, frozen, known }, { path: join(folder, file), options }),
    };
  } catch (thrown) {
    await store.close();
    throw thrown;
  }
}

/** What a donor is looked for with. */
interface Search {
  /** The folder that holds all stores. */
  readonly root: string;
  /** The folder of the run's own store, which is no donor. */
  readonly own: string;
  readonly layout: Layout;
  /** What the values of `layout` are called in the frozen part. */
  readonly wanted: readonly string[];
  readonly frozen: ModelProto;
  /** Value of the frozen part → its fingerprint. */
  readonly known: ReadonlyMap<string, string>;
}

/** The store from whose rows the least is left to compute; undefined where none helps. */
async function openDonor(
  { root, own, layout, wanted, frozen, known }: Search,
  running: Running,
): Promise<Donor | undefined> {
  let best: { folder: string; layout: Layout; bridge: Bridge } | undefined;
  for (const name of readdirSync(root).sort()) {
    const other = join(root, name);
    const found = other === own ? undefined : readLayout(other);
    if (found?.runtime !== layout.runtime) continue;
    const bridge = bridgeFrom(frozen, known, found, wanted);
    const nodes = (each: Bridge) => each.model.graph?.node.length ?? 0;
    if (bridge && (!best || nodes(bridge) < nodes(best.bridge))) best = { folder: other, layout: found, bridge };
  }
  return best && (await Donor.open(best.folder, best.layout, best.bridge, running));
}
