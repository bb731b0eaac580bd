import { readdirSync, readFileSync, statSync } from 'node:fs';
import { rename, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { UserError } from '../errors.js';
import { sha256 as hashOfBytes, writeFileAtomically } from '../files.js';
import { externalLocations } from '../onnx/externalLocations.js';
import { cannotKeep, download, hashOf } from './download.js';
import { isFile } from './hubCache.js';
import type { HubSettings } from './hubSettings.js';
import type { ModelEvent } from './modelEvents.js';
import { type AddressSource, shownAddress } from './modelSource.js';
import type { Patience } from './persistence.js';
import type { Answer } from './request.js';
import { whenFree } from './whenFree.js';

/** Says of a folder of the cache what lies in it, and that it is ours. */
const RECORD = 'source.json';
const recordSchema = z.object({ name: z.string(), file: z.string(), sha256: z.string() });

/** The folder of the cache for what an address names: by the content that is asked for, else by the address. */
function folderOf({ ownCache }: HubSettings, { url, sha256 }: AddressSource): string {
  return join(ownCache, sha256 ?? `address-${hashOfBytes(Buffer.from(url.href)).slice(0, 40)}`);
}

/** Where a model from an address is in the cache, if it is. */
export function findAddress(settings: HubSettings, source: AddressSource): string | undefined {
  const path = join(folderOf(settings, source), source.file);
  return isFile(path) ? path : undefined;
}

/**
 * Loads a model from an address into the cache, and gives its path.
 * @param name the whole name, by which it is listed.
 * @throws UserError `no-such-model`, `no-access`, `download-failed`, `wrong-hash`, `external-data`, `not-onnx`, `write-failed`, `stopped`.
 */
export async function* pullAddress(
  name: string,
  source: AddressSource,
  settings: HubSettings,
  patience: Patience,
): AsyncGenerator<ModelEvent, string> {
  const { url, file } = source;
  const folder = folderOf(settings, source);
  const shown = shownAddress(url);
  const lock = yield* whenFree(folder, shown, patience.signal);
  try {
    const place = join(folder, file);
    // Another process may have loaded it meanwhile.
    if (source.sha256 !== undefined && isFile(place)) return place;
    const loaded = `${place}.loaded`;
    yield { type: 'pulling', what: shown, bytes: undefined };
    yield* download(
      {
        ...{ url, shown, place: loaded, part: `${place}.incomplete` },
        check: source.sha256 === undefined ? undefined : { kind: 'sha256', hash: source.sha256 },
        refusal: (answer) => refusalOf(url, answer),
      },
      patience,
    );
    yield* keep(name, source, { loaded, place, folder, signal: patience.signal });
    return place;
  } finally {
    lock.release();
  }
}

interface Loaded {
  readonly loaded: string;
  readonly place: string;
  readonly folder: string;
  readonly signal: AbortSignal | undefined;
}

/** Looks whether what was loaded is a model, and gives it its name. */
async function* keep(
  name: string,
  { url, sha256, file }: AddressSource,
  { loaded, place, folder, signal }: Loaded,
): AsyncGenerator<ModelEvent, void> {
  const shown = shownAddress(url);
  let elsewhere: readonly string[];
  try {
    elsewhere = externalLocations(loaded, shown);
  } catch (thrown) {
    await rm(loaded, { force: true });
    throw thrown;
  }
  const [first] = elsewhere;
  if (first !== undefined) {
    await rm(loaded, { force: true });
    throw new UserError(
      'external-data',
      `${shown} keeps tensors in another file ("${first}"), which an address does not bring along; load both into a folder, and name the file there`,
    );
  }
  const found = sha256 ?? (await hashOf(loaded, 'sha256', signal));
  await writeFileAtomically(join(folder, RECORD), `${JSON.stringify({ name, file, sha256: found })}\n`);
  await rename(loaded, place).catch((cause: unknown) => {
    throw cannotKeep(place, cause);
  });
  if (sha256 === undefined)
    yield {
      type: 'note',
      text: `its SHA-256 is ${found}; with #sha256=${found} behind the address it stays this very file`,
    };
}

function refusalOf(asked: URL, { status, headers, url }: Pick<Answer, 'status' | 'headers' | 'url'>): UserError {
  const shown = shownAddress(asked);
  const message = headers.get('x-error-message');
  const by = url.host === asked.host ? '' : `, answers ${url.host}, to which it leads`;
  const answer = `${status}${message === null ? '' : `: ${message}`}${by}`;
  if (status === 404 || status === 410)
    return new UserError('no-such-model', `there is nothing at ${shown} (${answer}); check the address`);
  if (status === 401 || status === 403)
    return new UserError(
      'no-access',
      `${shown} is not open to everybody (${answer}); load it by hand, and name the file`,
    );
  return new UserError('download-failed', `${shown}: the server answers ${answer}; try again later`);
}

/** A model from an address, as a list shows it. */
export interface ListedAddress {
  readonly name: string;
  readonly path: string;
  readonly folder: string;
  readonly bytes: number;
}

/** All models from addresses that are in the cache. */
export function listAddresses({ ownCache }: HubSettings): ListedAddress[] {
  return foldersIn(ownCache).flatMap((folder) => {
    const record = recordIn(folder);
    const path = record && join(folder, record.file);
    return record && path !== undefined && isFile(path)
      ? [{ name: record.name, path, folder, bytes: statSync(path).size }]
      : [];
  });
}

/** Removes a model from the cache. */
export async function removeAddress({ path, folder }: ListedAddress): Promise<void> {
  for (const each of [path, join(folder, RECORD)]) await rm(each, { force: true });
  await rmdir(folder).catch(() => undefined);
}

function recordIn(folder: string): z.infer<typeof recordSchema> | undefined {
  try {
    return recordSchema.parse(JSON.parse(readFileSync(join(folder, RECORD), 'utf8')));
  } catch {
    return undefined;
  }
}

function foldersIn(root: string): string[] {
  try {
    return readdirSync(root, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => join(root, name))
      .sort();
  } catch {
    return [];
  }
}
