import { existsSync, type Stats, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { UserError } from '../errors.js';
import { isMarked } from '../marker.js';
import { externalSizes } from '../onnx/externalLocations.js';
import { findAddress, pullAddress } from './addressCache.js';
import { findCached } from './hubCache.js';
import { type HubSettings, hubSettings } from './hubSettings.js';
import type { ModelEvent, ResolvedModel } from './modelEvents.js';
import { type AddressSource, type HubSource, parseSource } from './modelSource.js';
import type { Patience } from './persistence.js';
import { pullRepository } from './pullRepository.js';
import { embeddedPath, registry, type RegistryEntry, sourceOf, unknownModel } from './modelRegistry.js';

/** A run's model as it was trained, where its `model.onnx` computes the frozen part in whole numbers. */
export const FLOAT_MODEL = 'model_float32.onnx';

/** How a model is looked for. */
export interface ResolveOptions {
  /** Stops it at once; what has arrived is kept, and the next call goes on from there. */
  readonly signal?: AbortSignal;
  /** Asks the network also for what is in the cache, so that a branch is what it is today. */
  readonly refresh?: boolean;
  /** Of a run that has two models, takes the one in float: the other cannot be trained on. */
  readonly trains?: boolean;
  /** In place of `process.env`. */
  readonly env?: NodeJS.ProcessEnv;
}

/** Files up to this size are looked into when they are found in the cache: larger ones do not keep tensors elsewhere. */
const MOST_LOOKED_INTO = 2 ** 26;

/**
 * Finds the ONNX file that a name stands for, and loads it where need be: the path of a file, the folder of a run (its `model.onnx`), a name
 * of the registry, `hf:owner/repository[@revision][/path.onnx]`, or `https://…/file.onnx#sha256=…`. Gives what happens meanwhile, then the
 * model. What is in the cache is taken from there, without a question to the network.
 * @throws UserError `no-such-model`, `no-such-file`, `bad-model-name`, `not-pulled` (offline), `no-access`, `download-failed`, `wrong-hash`,
 * `external-data`, `write-failed`, `stopped`.
 */
export async function* resolveModel(
  name: string,
  options: ResolveOptions = {},
): AsyncGenerator<ModelEvent, ResolvedModel> {
  const { env = process.env, refresh = false, signal, trains = false } = options;
  yield* [];
  const meant = meaningOf(name, trains);
  if ('path' in meant) return meant;
  const settings = hubSettings(env);
  const { source, common } = meant;
  const cached = refresh && !settings.isOffline ? undefined : cachedPath(settings, source);
  if (cached !== undefined) return { ...common, path: cached };
  if (settings.isOffline)
    throw new UserError(
      'not-pulled',
      `${name} is not in the cache, and HF_HUB_OFFLINE says to load nothing; take that away, or run ort-tl models pull ${name} where there is a network`,
    );
  return { ...common, path: yield* pull(name, source, settings, { signal }) };
}

/**
 * The model that a name stands for, if it is here: nothing is loaded.
 * @throws UserError `no-such-model`, `no-such-file`, `bad-model-name`, `not-pulled`.
 */
export function modelHere(name: string, env: NodeJS.ProcessEnv = process.env): ResolvedModel {
  const meant = meaningOf(name);
  if ('path' in meant) return meant;
  const path = cachedPath(hubSettings(env), meant.source);
  if (path !== undefined) return { ...meant.common, path };
  throw new UserError('not-pulled', `${name} is not here; load it: ort-tl models pull ${name}`);
}

/**
 * Where a network is that has a name, an address, or a place on a hub: `path` is undefined where it is yet to be loaded. Gives undefined for
 * what is no such name, and may be a path.
 * @throws UserError `no-such-file` for one that comes with ort-tl and is gone, `bad-model-name`.
 */
export function networkCalled(
  name: string,
  env: NodeJS.ProcessEnv = process.env,
): { readonly path: string | undefined } | undefined {
  const meant = networkMeaning(name);
  if (!meant) return undefined;
  return { path: 'path' in meant ? meant.path : cachedPath(hubSettings(env), meant.source) };
}

/** Loads what `source` names into the cache, also what is there. */
function pull(
  name: string,
  source: HubSource | AddressSource,
  settings: HubSettings,
  patience: Patience,
): AsyncGenerator<ModelEvent, string> {
  return source.kind === 'hub'
    ? pullRepository(source, settings, patience)
    : pullAddress(name, source, settings, patience);
}

/** What a name means that is no path. */
interface Elsewhere {
  readonly source: HubSource | AddressSource;
  readonly common: Omit<ResolvedModel, 'path'>;
}

/** @throws UserError for a name that stands for nothing. */
function meaningOf(name: string, trains = false): ResolvedModel | Elsewhere {
  const found = lookAt(name);
  if (found && !found.isDirectory()) return ofPath(name, 'file', name);
  if (found && isRunFolder(name)) {
    const isInFloat = trains && existsSync(join(name, FLOAT_MODEL));
    return ofPath(join(name, isInFloat ? FLOAT_MODEL : 'model.onnx'), 'run', name);
  }
  const network = networkMeaning(name);
  if (network) return network;
  if (found) throw new UserError('no-such-file', `${name} is a folder; expected an ONNX file, or a run's folder`);
  if (/[\\/]|\.onnx$/i.test(name)) throw new UserError('no-such-file', `no model at ${name}; check the path`);
  throw unknownModel(name);
}

/** What a name means that is not of a path. @throws UserError `no-such-file`, `bad-model-name`. */
function networkMeaning(name: string): ResolvedModel | Elsewhere | undefined {
  const entry = registry().find((each) => each.name === name);
  if (entry) return meaningOfEntry(entry);
  const source = parseSource(name);
  return source && { source, common: commonOf(name, source) };
}

function meaningOfEntry(entry: RegistryEntry): ResolvedModel | Elsewhere {
  const { name } = entry;
  const common = { reference: name, title: name };
  const path = embeddedPath(entry);
  if (path === undefined) {
    const source = sourceOf(entry);
    return { source, common: { ...common, kind: source.kind } };
  }
  if (existsSync(path)) return { ...common, path, kind: 'embedded' };
  throw new UserError('no-such-file', `${name} comes with ort-tl, and is not at ${path}; install ort-tl again`);
}

function commonOf(name: string, source: HubSource | AddressSource): Omit<ResolvedModel, 'path'> {
  const title = source.kind === 'hub' ? basename(source.repository) : basename(source.file, '.onnx');
  return { kind: source.kind, reference: name, title };
}

function ofPath(path: string, kind: 'file' | 'run', given: string): ResolvedModel {
  return { path, kind, reference: resolve(given), title: basename(resolve(given), '.onnx') };
}

/** What lies there; undefined also for what can be no path, such as one that is too long. */
function lookAt(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

/** @throws UserError `no-such-file` for a run that has no model yet. */
function isRunFolder(folder: string): boolean {
  if (existsSync(join(folder, 'model.onnx'))) return true;
  if (isMarked(folder, 'run'))
    throw new UserError(
      'no-such-file',
      `the run in ${folder} has no model.onnx yet; finish it: ort-tl train --resume ${folder}`,
    );
  return false;
}

function cachedPath(settings: HubSettings, source: HubSource | AddressSource): string | undefined {
  if (source.kind === 'address') return findAddress(settings, source);
  const path = findCached(settings, source)?.path;
  return path !== undefined && isWhole(path) ? path : undefined;
}

/** Whether it is a model, and what it keeps elsewhere is there too: another program may have loaded the file alone. */
function isWhole(path: string): boolean {
  if (statSync(path).size > MOST_LOOKED_INTO) return true;
  try {
    return [...externalSizes(path, path)].every(([location, bytes]) => {
      const found = statSync(join(path, '..', location), { throwIfNoEntry: false });
      return found !== undefined && found.size >= bytes;
    });
  } catch (thrown) {
    if (thrown instanceof UserError) return false;
    throw thrown;
  }
}
