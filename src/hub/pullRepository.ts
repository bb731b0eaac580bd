import { readFileSync, statSync } from 'node:fs';
import { join, posix } from 'node:path';
import { UserError } from '../errors.js';
import { externalLocations, externalSizes } from '../onnx/externalLocations.js';
import { checkRoom, download, hashOf } from './download.js';
import {
  linkBlob,
  PART,
  removeUnusedBlobs,
  repositoryFolder,
  snapshotFolder,
  usualModel,
  writeRef,
} from './hubCache.js';
import {
  HubClient,
  type RepositoryListing,
  refusalOf,
  shownRepository,
  type StatedFile,
  unclear,
} from './hubClient.js';
import type { HubSettings } from './hubSettings.js';
import type { ModelEvent } from './modelEvents.js';
import type { HubSource } from './modelSource.js';
import type { Patience } from './persistence.js';
import { isSafePath } from './safeName.js';
import { whenFree } from './whenFree.js';

/** What says of a model what its pixels and classes are. */
export const CONFIGS = ['config.json', 'preprocessor_config.json'];

/**
 * Brings a model of a hub into the cache, with the tensors that it keeps in files of their own and what says how it is used, and gives
 * its path. What is there already is not loaded again.
 * @throws UserError `no-such-model`, `no-access`, `download-failed`, `wrong-hash`, `external-data`, `write-failed`, `stopped`.
 */
export async function* pullRepository(
  source: HubSource,
  settings: HubSettings,
  patience: Patience,
): AsyncGenerator<ModelEvent, string> {
  const client = new HubClient(settings, patience, settings.token());
  const listing = yield* client.list(source);
  const file = source.file ?? usualModel(listing.names);
  if (file === undefined || !listing.names.includes(file)) throw unclear(source, listing.names);
  const pull = new Pull(source, settings, patience, client, listing);
  const lockPlace = join(settings.hubCache, '.locks', `models--${source.repository.replace('/', '--')}`, 'ort-tl');
  const lock = yield* whenFree(lockPlace, shownRepository(source), patience.signal);
  try {
    return yield* pull.run(file);
  } finally {
    lock.release();
  }
}

/** One pull, in a cache that is its own for so long. */
class Pull {
  private readonly folder: string;
  /** The files that the model keeps tensors in, and how many bytes of each those take: known once the model was looked at. */
  private tensorBytes: ReadonlyMap<string, number> = new Map();

  constructor(
    private readonly source: HubSource,
    private readonly settings: HubSettings,
    private readonly patience: Patience,
    private readonly client: HubClient,
    private readonly listing: RepositoryListing,
  ) {
    this.folder = repositoryFolder(settings, source.repository);
  }

  async *run(file: string): AsyncGenerator<ModelEvent, string> {
    const { listing, source } = this;
    const likely = [...tensorFiles(file), ...configsOf(file)].filter((name) => listing.names.includes(name));
    const stated = yield* this.stateAll([file, ...likely]);
    const [model] = stated;
    if (!model) throw new Error('the model itself was not stated');
    this.checkPinned(model);
    yield* this.fetchAll(stated, file);
    await this.lookAgain(model, file);
    const more = [...this.tensorBytes.keys()].filter((name) => !likely.includes(name));
    const others = yield* this.stateAll(more);
    const besideModel = [...others, ...stated.slice(1)];
    // What lay there before the model did can be judged now.
    yield* this.fetchAll(besideModel, file);
    for (const each of besideModel) await this.lookAgain(each, file);
    // The model comes last: what stands there is whole.
    for (const each of [...besideModel, model])
      await linkBlob(this.placeOf(each.name), this.blobOf(each), this.settings);
    await writeRef(this.folder, source.revision, listing.commit);
    return this.placeOf(file);
  }

  private async *stateAll(names: readonly string[]): AsyncGenerator<ModelEvent, StatedFile[]> {
    const stated: StatedFile[] = [];
    for (const name of names) stated.push(yield* this.client.state(this.source, this.listing.commit, name));
    return stated;
  }

  /** Loads what is not there, after it has told how much that is. */
  private async *fetchAll(stated: readonly StatedFile[], file: string): AsyncGenerator<ModelEvent, void> {
    const { source, settings, patience, client } = this;
    const missing: StatedFile[] = [];
    for (const each of stated) if (!(await this.isHere(each, file))) missing.push(each);
    if (missing.length === 0) return;
    const bytes = missing.reduce<number | undefined>(
      (sum, each) => (sum === undefined || each.bytes === undefined ? undefined : sum + each.bytes),
      0,
    );
    const what = `${missing.map(({ name }) => name).join(', ')} of ${shownRepository(source)}`;
    yield { type: 'pulling', what, bytes };
    const here = missing.reduce(
      (sum, each) => sum + (statSync(this.partOf(each), { throwIfNoEntry: false })?.size ?? 0),
      0,
    );
    checkRoom(settings.hubCache, (bytes ?? 0) - here, what);
    for (const each of missing) {
      const { name, check } = each;
      const shown = `${shownRepository(source)}/${name}`;
      if (!check) yield { type: 'note', text: `${shown}: the hub states no hash of it, so that it cannot be checked` };
      yield* download(
        {
          ...{ ...each, shown, token: client.token },
          place: this.blobOf(each),
          part: this.partOf(each),
          look: (path) => this.look(each, path, file),
          refusal: (answer) => refusalOf(answer, source, name, settings),
        },
        patience,
      );
    }
  }

  /** @throws UserError `wrong-hash` before anything is loaded, where the hub states another hash than the one that was asked for. */
  private checkPinned({ check, name }: StatedFile): void {
    if (check?.kind === 'sha256') this.refuseUnless(check.hash, name);
  }

  /** Whether a blob is there that is what the hub states; where it states no hash, what can be seen of it has to do. */
  private async isHere(stated: StatedFile, file: string): Promise<boolean> {
    const { bytes, check } = stated;
    const blob = this.blobOf(stated);
    const found = statSync(blob, { throwIfNoEntry: false });
    if (!found?.isFile() || (bytes !== undefined && found.size !== bytes)) return false;
    if (check) return bytes !== undefined || (await hashOf(blob, check.kind, this.patience.signal)) === check.hash;
    return this.look(stated, blob, file).then(
      () => true,
      (thrown: unknown) => {
        if (thrown instanceof UserError && thrown.code !== 'stopped') return false;
        throw thrown;
      },
    );
  }

  /** Looks at a blob that lay there, and takes away one that is of no use. @throws UserError as {@link look}. */
  private async lookAgain(stated: StatedFile, file: string): Promise<void> {
    const blob = this.blobOf(stated);
    await this.look(stated, blob, file).catch(async (thrown: unknown) => {
      if (thrown instanceof UserError && thrown.code !== 'stopped')
        await removeUnusedBlobs(this.folder, new Set([blob]));
      throw thrown;
    });
  }

  /**
   * Looks whether what came can be what is meant: a whole model, as many bytes as its tensors take, a config in JSON.
   * @throws UserError `not-onnx`, `external-data`, `wrong-hash`, and `download-failed` where nothing but this look could show that it is whole.
   */
  private async look(stated: StatedFile, path: string, file: string): Promise<void> {
    const { name, check, bytes } = stated;
    const shown = `${shownRepository(this.source)}/${name}`;
    const cut = (what: string) =>
      new UserError(
        'download-failed',
        `${shown} is ${what}, and the hub states no hash that could tell whether all of it came; it was not kept: pull it again`,
      );
    if (name === file) {
      try {
        this.tensorBytes = this.tensorFilesOf(name, path);
      } catch (thrown) {
        throw !check && thrown instanceof UserError && thrown.code === 'not-onnx' ? cut('no whole ONNX model') : thrown;
      }
      await this.hashPinned(stated, path);
      return;
    }
    const needed = this.tensorBytes.get(name) ?? 0;
    const { size } = statSync(path);
    if (size < needed) {
      const short = `${size} bytes long, but the model's tensors take ${needed} of it`;
      throw check ? new UserError('external-data', `${shown} is ${short}; take another model`) : cut(short);
    }
    if (!check && bytes === undefined && name.endsWith('.json') && !isJson(path)) throw cut('no JSON');
  }

  /** Where the hub states no SHA-256, the file itself has to show it. */
  private async hashPinned({ check, name }: StatedFile, path: string): Promise<void> {
    if (this.source.sha256 === undefined || check?.kind === 'sha256') return;
    this.refuseUnless(await hashOf(path, 'sha256', this.patience.signal), name);
  }

  private refuseUnless(found: string, name: string): void {
    const { sha256 } = this.source;
    if (sha256 !== undefined && sha256 !== found)
      throw new UserError(
        'wrong-hash',
        `${shownRepository(this.source)}/${name}: expected the SHA-256 ${sha256}, and the hub has ${found}; it is another file than the one that was meant`,
      );
  }

  /** The files of the repository that the model in `path` says it keeps tensors in, and how many bytes of each those take. */
  private tensorFilesOf(model: string, path: string): Map<string, number> {
    const shown = `${shownRepository(this.source)}/${model}`;
    const named = [...externalSizes(path, shown)].map(([location, bytes]): [string, number] => {
      const name = posix.join(posix.dirname(model), location);
      if (!isSafePath(location) || !isSafePath(name) || !this.listing.names.includes(name))
        throw new UserError(
          'external-data',
          `${shown} keeps tensors in "${location}", which is no file of its folder in the repository; take another file`,
        );
      return [name, bytes];
    });
    return new Map(named);
  }

  private placeOf(name: string): string {
    return join(snapshotFolder(this.folder, this.listing.commit), ...name.split('/'));
  }

  private partOf(file: StatedFile): string {
    return `${this.blobOf(file)}${PART}`;
  }

  private blobOf({ etag }: Pick<StatedFile, 'etag'>): string {
    return join(this.folder, 'blobs', etag);
  }
}

/** Where exporters keep tensors that do not fit into a file. */
const tensorFiles = (file: string): string[] => [`${file}_data`, `${file}.data`];

/** Where a repository keeps its configs: beside the model, and above the folder `onnx`. */
function configsOf(file: string): string[] {
  const folder = posix.dirname(file);
  const folders = posix.basename(folder) === 'onnx' ? [folder, posix.dirname(folder)] : [folder];
  return folders.flatMap((each) => CONFIGS.map((name) => posix.join(each, name)));
}

/** Files that came with a model and mean nothing without it. */
export const besides = (file: string): readonly string[] => configsOf(file);

function isJson(path: string): boolean {
  try {
    JSON.parse(readFileSync(path, 'utf8'));
    return true;
  } catch {
    return false;
  }
}

/** A model's own files in a snapshot. */
export function filesOfModel(path: string, file: string): string[] {
  // Of a large file none but its neighbours are looked at.
  const named = statSync(path).size < 2 ** 31 ? locationsIn(path) : [];
  return [...new Set([file, ...tensorFiles(file), ...named.map((name) => posix.join(posix.dirname(file), name))])];
}

/** Where a model keeps tensors; nowhere, for a file that is none: it can be removed all the same. */
function locationsIn(path: string): string[] {
  try {
    return externalLocations(path, path);
  } catch {
    return [];
  }
}
