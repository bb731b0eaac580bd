import { existsSync, statSync } from 'node:fs';
import { UserError } from '../errors.js';
import { type ListedAddress, listAddresses, removeAddress } from './addressCache.js';
import { type ListedModel, listHubCache, removeFiles, repositoryFolder } from './hubCache.js';
import { type HubSettings, hubSettings } from './hubSettings.js';
import { type HubSource, parseSource } from './modelSource.js';
import { besides, filesOfModel } from './pullRepository.js';
import { networkCalled } from './resolveModel.js';
import { embeddedPath, registry, type RegistryEntry } from './modelRegistry.js';

/** A network as a list shows it. */
export interface KnownModel extends Partial<RegistryEntry> {
  readonly name: string;
  readonly state: 'embedded' | 'pulled' | 'not pulled';
  readonly path: string | undefined;
  readonly bytes: number | undefined;
}

/** The networks that have a name, then what else is in the caches. */
export function knownModels(env: NodeJS.ProcessEnv = process.env): KnownModel[] {
  const settings = hubSettings(env);
  const listed = [...listHubCache(settings).map(named), ...listAddresses(settings)];
  const taken = new Set<string>();
  const entries = registry().map((entry): KnownModel => {
    if (embeddedPath(entry) !== undefined) return embedded(entry);
    const path = networkCalled(entry.name, env)?.path;
    if (path === undefined) return { ...entry, state: 'not pulled', path: undefined, bytes: entry.bytes };
    taken.add(path);
    return { ...entry, state: 'pulled', path, bytes: statSync(path).size };
  });
  const others = listed
    .filter(({ path }) => !taken.has(path))
    .map(({ name, path, bytes }): KnownModel => ({ name, state: 'pulled', path, bytes }));
  return [...entries, ...others];
}

function embedded(entry: RegistryEntry): KnownModel {
  const path = embeddedPath(entry);
  const found = path === undefined ? undefined : statSync(path, { throwIfNoEntry: false });
  if (!found) return { ...entry, state: 'not pulled', path: undefined, bytes: entry.bytes };
  return { ...entry, state: 'embedded', path, bytes: found.size };
}

/** A cached model with a name by which it can be asked for. */
function named(model: ListedModel): ListedModel & { readonly name: string } {
  const { repository, revisions, commit, file } = model;
  const revision = revisions.includes('main') ? '' : `@${(revisions[0] ?? commit).replaceAll('/', '%2F')}`;
  return { ...model, name: `hf:${repository}${revision}/${file}` };
}

/** What was removed from a cache. */
export interface RemovedModel {
  readonly name: string;
  readonly bytes: number;
}

/**
 * Removes what a name stands for from the cache: of a repository of the hub the models in all its states, or in the one that is named.
 * @throws UserError `bad-arguments` for what comes with ort-tl or is the user's own, `not-pulled`, `bad-model-name`.
 */
export async function removeModel(name: string, env: NodeJS.ProcessEnv = process.env): Promise<RemovedModel[]> {
  const settings = hubSettings(env);
  const entry = registry().find((each) => each.name === name);
  if (entry && embeddedPath(entry) !== undefined)
    throw new UserError('bad-arguments', `${name} comes with ort-tl, and is not in the cache; nothing was removed`);
  const source = parseSource(entry?.source ?? name);
  if (!source) {
    if (existsSync(name))
      throw new UserError(
        'bad-arguments',
        `${name} is not in the cache, and not ort-tl's to remove; see ort-tl models ls`,
      );
    throw notPulled(name);
  }
  const addresses = listAddresses(settings).filter((each) => each.name === (entry?.source ?? name));
  const models = source.kind === 'hub' ? modelsOf(settings, source) : [];
  if (addresses.length + models.length === 0) throw notPulled(name);
  for (const each of addresses) await removeAddress(each);
  for (const each of models) await removeListed(settings, each);
  return [...addresses, ...models.map(named)].map(
    ({ name: removed, bytes }: ListedAddress | ReturnType<typeof named>) => ({
      name: removed,
      bytes,
    }),
  );
}

function modelsOf(settings: HubSettings, { repository, revision, file }: HubSource): ListedModel[] {
  return listHubCache(settings).filter(
    (each) =>
      each.repository === repository &&
      (file === undefined || each.file === file) &&
      (revision === 'main' || each.commit === revision || each.revisions.includes(revision)),
  );
}

async function removeListed(settings: HubSettings, { repository, commit, path, file }: ListedModel): Promise<void> {
  await removeFiles(repositoryFolder(settings, repository), commit, filesOfModel(path, file), besides(file));
}

const notPulled = (name: string) => new UserError('not-pulled', `${name} is not in the cache; see ort-tl models ls`);
