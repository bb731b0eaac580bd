import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { copyFile, lstat, readlink, rename, rm, symlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { UserError } from '../errors.js';
import { fileErrorCode, makeFolder, writeFileAtomically } from '../files.js';
import { partialPath } from '../partialFiles.js';
import { cannotKeep } from './download.js';
import type { HubSettings } from './hubSettings.js';
import type { HubSource } from './modelSource.js';

/** What names a state of a repository. */
export const COMMIT = /^[0-9a-f]{40}$/;
/** Where a repository keeps the model that is meant, in the order of preference. */
const USUAL = ['onnx/model.onnx', 'model.onnx'];
/** What transformers.js keeps beside it: other precisions. */
const VARIANT = /(?:^|\/)model_\w+\.onnx$/;

/** What follows the name of a blob that is being loaded: Python's programs have endings of their own. */
export const PART = '.ort-tl.incomplete';

/** The folder of a repository in the cache that the hub's programs share. */
export const repositoryFolder = ({ hubCache }: HubSettings, repository: string): string =>
  join(hubCache, `models--${repository.replace('/', '--')}`);

/** The folder of one state of it. */
export const snapshotFolder = (folder: string, commit: string): string => join(folder, 'snapshots', commit);

/** Which of `names` is meant where none is named; undefined where that is not clear. */
export function usualModel(names: readonly string[]): string | undefined {
  const usual = USUAL.find((name) => names.includes(name));
  const models = names.filter((name) => name.endsWith('.onnx'));
  return usual ?? (models.length === 1 ? models[0] : undefined);
}

/** A model in the cache. */
export interface CachedModel {
  readonly path: string;
  readonly commit: string;
  /** Its path in the repository. */
  readonly file: string;
}

/** What is in the cache of what `source` names. */
export function findCached(settings: HubSettings, source: HubSource): CachedModel | undefined {
  const folder = repositoryFolder(settings, source.repository);
  const commit = COMMIT.test(source.revision) ? source.revision : refOf(folder, source.revision);
  if (commit === undefined) return undefined;
  const snapshot = snapshotFolder(folder, commit);
  // Of a repository that has others, another program may have loaded a variant alone.
  const file = source.file ?? usualModel(filesBelow(snapshot).filter((name) => !VARIANT.test(name)));
  const path = file === undefined ? undefined : join(snapshot, ...file.split('/'));
  return file !== undefined && path !== undefined && isFile(path) ? { path, commit, file } : undefined;
}

/** The commit that a branch or a tag was when it was last asked for. */
export function refOf(folder: string, revision: string): string | undefined {
  try {
    const commit = readFileSync(join(folder, 'refs', ...revision.split('/')), 'utf8').trim();
    return COMMIT.test(commit) ? commit : undefined;
  } catch {
    return undefined;
  }
}

/** Notes which commit a branch or a tag is. @throws UserError `write-failed`. */
export async function writeRef(folder: string, revision: string, commit: string): Promise<void> {
  if (COMMIT.test(revision) || refOf(folder, revision) === commit) return;
  const path = join(folder, 'refs', ...revision.split('/'));
  await writeFileAtomically(path, commit).catch((thrown: unknown) => {
    throw cannotKeep(path, thrown instanceof UserError ? thrown.cause : thrown);
  });
}

/** Has a file of a snapshot be a blob: by a relative link, or as a copy where there are no links. @throws UserError `write-failed`. */
export async function linkBlob(path: string, blob: string, { copies }: HubSettings): Promise<void> {
  const target = relative(dirname(path), blob);
  if (!copies && (await readlink(path).catch(() => undefined)) === target) return;
  if (copies && statSync(path, { throwIfNoEntry: false })?.size === statSync(blob).size) return;
  const beside = partialPath(path);
  try {
    await makeFolder(dirname(path));
    if (copies) await copyFile(blob, beside);
    else await symlink(target, beside).catch((thrown: unknown) => copyUnlinked(thrown, blob, beside));
    await rename(beside, path);
  } catch (cause) {
    // It throws by itself where a file stands in place of a folder.
    await rm(beside, { force: true }).catch(() => undefined);
    throw cannotKeep(path, cause);
  }
}

/** Windows lets some users alone make links, and some disks have none. */
async function copyUnlinked(thrown: unknown, blob: string, beside: string): Promise<void> {
  if (!['EPERM', 'EACCES', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP'].includes(fileErrorCode(thrown) ?? '')) throw thrown;
  await copyFile(blob, beside);
}

/** Paths of the files below a folder, with slashes; none where there is no folder. */
export function filesBelow(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
      .sort();
  } catch {
    return [];
  }
}

/** A model of a snapshot, as a list shows it. */
export interface ListedModel extends CachedModel {
  readonly repository: string;
  /** Branches and tags that are this commit. */
  readonly revisions: readonly string[];
  readonly bytes: number;
}

/** All models in the cache. */
export function listHubCache({ hubCache }: HubSettings): ListedModel[] {
  return namesIn(hubCache).flatMap((name) => {
    const repository = /^models--([^-].*?)--(.+)$/.exec(name)?.slice(1).join('/');
    if (repository === undefined) return [];
    const folder = join(hubCache, name);
    const refs = filesBelow(join(folder, 'refs'));
    return namesIn(join(folder, 'snapshots')).flatMap((commit) => {
      const snapshot = snapshotFolder(folder, commit);
      const revisions = refs.filter((ref) => refOf(folder, ref) === commit);
      return filesBelow(snapshot)
        .filter((file) => file.endsWith('.onnx') && isFile(join(snapshot, file)))
        .map((file) => {
          const path = join(snapshot, ...file.split('/'));
          return { repository, commit, revisions, file, path, bytes: statSync(path).size };
        });
    });
  });
}

/**
 * Removes files from a snapshot, with those blobs that no other file of the repository uses. Where nothing is left of the snapshot but what
 * `beside` names, that goes too, and with the last snapshot the repository's folder.
 */
export async function removeFiles(
  folder: string,
  commit: string,
  files: readonly string[],
  beside: readonly string[],
): Promise<void> {
  const snapshot = snapshotFolder(folder, commit);
  const left = filesBelow(snapshot).filter((name) => !files.includes(name));
  const gone = left.every((name) => beside.includes(name)) ? [...files, ...left] : files;
  const blobs = new Set<string>();
  for (const name of gone) {
    const path = join(snapshot, ...name.split('/'));
    const target = await readlink(path).catch(() => undefined);
    if (target !== undefined) blobs.add(join(dirname(path), target));
    await rm(path, { force: true });
  }
  await removeUnusedBlobs(folder, blobs);
  await removeEmptyFolders(snapshot);
  if (existsSync(snapshot)) return;
  for (const ref of filesBelow(join(folder, 'refs')))
    if (refOf(folder, ref) === commit) await rm(join(folder, 'refs', ...ref.split('/')), { force: true });
  if (filesBelow(join(folder, 'snapshots')).length === 0)
    for (const name of filesBelow(join(folder, 'blobs')))
      if (name.endsWith(PART)) await rm(join(folder, 'blobs', name), { force: true });
  await removeEmptyFolders(folder);
}

/** Removes those of `blobs` that no file of the repository uses. */
export async function removeUnusedBlobs(folder: string, blobs: ReadonlySet<string>): Promise<void> {
  for (const blob of await unused(folder, blobs)) await rm(blob, { force: true });
}

/** Those of `blobs` in a repository's folder that no link of it leads to. */
async function unused(folder: string, blobs: ReadonlySet<string>): Promise<string[]> {
  const snapshots = join(folder, 'snapshots');
  const used = new Set<string>();
  for (const name of filesBelow(snapshots)) {
    const path = join(snapshots, ...name.split('/'));
    const target = await readlink(path).catch(() => undefined);
    if (target !== undefined) used.add(join(dirname(path), target));
  }
  return [...blobs].filter((blob) => dirname(blob) === join(folder, 'blobs') && !used.has(blob));
}

/** Removes a folder in which nothing but empty folders is. */
async function removeEmptyFolders(folder: string): Promise<void> {
  if (filesBelow(folder).length === 0 && (await lstat(folder).catch(() => undefined))?.isDirectory() === true)
    await rm(folder, { recursive: true, force: true });
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name)
      .sort();
  } catch {
    return [];
  }
}

export const isFile = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isFile() === true;
