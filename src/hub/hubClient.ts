import { z } from 'zod';
import { UserError } from '../errors.js';
import type { Check } from './download.js';
import { COMMIT } from './hubCache.js';
import type { HubSettings } from './hubSettings.js';
import type { ModelEvent } from './modelEvents.js';
import type { HubSource } from './modelSource.js';
import { type Patience, persistently } from './persistence.js';
import { type Answer, ask, textOf } from './request.js';
import { isSafeName, isSafePath } from './safeName.js';

/** A listing of a million files is no longer. */
const MOST_LISTING_BYTES = 2 ** 27;
/** How many files are named where there are more. */
const SHOWN = 10;

const listingSchema = z.object({
  sha: z.string().regex(COMMIT),
  siblings: z.array(z.object({ rfilename: z.string() })),
});

/** The files of one state of a repository. */
export interface RepositoryListing {
  readonly commit: string;
  readonly names: readonly string[];
}

/** What the hub says of a file. */
export interface StatedFile {
  readonly name: string;
  /** Under which name its content is kept. */
  readonly etag: string;
  readonly bytes: number | undefined;
  readonly check: Check | undefined;
  readonly url: URL;
}

/** What messages call a repository. */
export const shownRepository = ({ repository, revision }: HubSource): string =>
  revision === 'main' ? `hf:${repository}` : `hf:${repository}@${revision}`;

/** A hub, as one user sees it. */
export class HubClient {
  constructor(
    private readonly settings: HubSettings,
    private readonly patience: Patience,
    readonly token: string | undefined,
  ) {}

  /**
   * Lists a repository.
   * @throws UserError `no-such-model`, `no-access`, `download-failed` (also where a name in it would lead out of a folder), `stopped`.
   */
  async *list(source: HubSource): AsyncGenerator<ModelEvent, RepositoryListing> {
    const { patience, settings, token } = this;
    const shown = shownRepository(source);
    const url = this.at(`api/models/${source.repository}/revision/${encodeURIComponent(source.revision)}`);
    const refuse = (why: string) => new UserError('download-failed', `${shown}: ${why}`);

    const text = yield* persistently(shown, patience, async function* () {
      const answer = await ask({ url, token }, patience);
      if (answer.status === 200) return textOf(answer, MOST_LISTING_BYTES);
      await answer.close();
      throw refusalOf(answer, source, undefined, settings);
    });
    const parsed = listingSchema.safeParse(jsonOf(text));
    if (!parsed.success)
      throw refuse(`${url.host} answers with something else than a list of files; is it a hub (HF_ENDPOINT)?`);
    const { sha: commit, siblings } = parsed.data;
    this.checkCommit(source.revision, commit, refuse);
    const names = siblings.map(({ rfilename }) => rfilename);
    const all = new Set(names);
    const hostile = names.find((name) => !isSafePath(name));
    if (hostile !== undefined)
      throw refuse(
        `the hub lists a file \`${hostile}\`, which is no safe name of a file in a folder; nothing was loaded`,
      );
    const both = names.find((name) => foldersAbove(name).some((folder) => all.has(folder)));
    if (both !== undefined)
      throw refuse(`the hub lists \`${both}\`, which lies in a folder that it lists as a file; nothing was loaded`);
    return { commit, names };
  }

  /** What the hub says of a file. @throws UserError as {@link list}. */
  async *state(source: HubSource, commit: string, name: string): AsyncGenerator<ModelEvent, StatedFile> {
    const { patience, settings, token } = this;
    const path = name.split('/').map(encodeURIComponent).join('/');
    const url = this.at(`${source.repository}/resolve/${commit}/${path}`);
    const shown = `${shownRepository(source)}/${name}`;

    const { status, headers } = yield* persistently(shown, patience, async function* () {
      const answer = await ask({ method: 'HEAD', url, token, staysHere: true }, patience);
      await answer.close();
      if (answer.status < 400) return answer;
      throw refusalOf(answer, source, name, settings);
    });
    const refuse = (why: string) => new UserError('download-failed', `${shown}: ${why}`);
    this.checkCommit(commit, headers.get('x-repo-commit') ?? commit, refuse);
    const etag = (headers.get('x-linked-etag') ?? headers.get('etag') ?? '').replace(/^W\//, '').replaceAll('"', '');
    // A redirect's own length is not the file's.
    const size = headers.get('x-linked-size') ?? (status === 200 ? headers.get('content-length') : null);
    if (!isSafeName(etag) || etag.startsWith('.'))
      throw refuse('the hub does not state which content it has (X-Linked-ETag)');
    return {
      ...{ name, etag, url },
      bytes: size !== null && /^\d+$/.test(size) ? Number(size) : undefined,
      check: checkOf(etag),
    };
  }

  /** A commit that is asked for is this one and no other; a branch or a tag is any. */
  private checkCommit(revision: string, found: string, refuse: (why: string) => UserError): void {
    if (COMMIT.test(revision) && found !== revision)
      throw refuse(
        `asked for the commit ${revision}, ${hostOf(this.settings)} answers with ${found}; nothing of it was kept, as it is another state than the one that was meant`,
      );
  }

  private at(path: string): URL {
    return new URL(`${this.settings.endpoint}/${path}`);
  }
}

/** The folders that a file of a repository lies in. */
const foldersAbove = (name: string): string[] => {
  const parts = name.split('/').slice(0, -1);
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'));
};

const hostOf = ({ endpoint }: HubSettings): string => new URL(endpoint).host;

/** What an answer means by which a hub, or a host that it leads to, does not give a file of a repository, or its list. */
export function refusalOf(
  { status, headers, url }: Pick<Answer, 'status' | 'headers' | 'url'>,
  source: HubSource,
  name: string | undefined,
  settings: HubSettings,
): UserError {
  const { repository, revision } = source;
  const code = headers.get('x-error-code');
  const message = headers.get('x-error-message');
  const shown = name === undefined ? shownRepository(source) : `${shownRepository(source)}/${name}`;
  const answered = `${url.host} answers ${status}${message === null ? '' : ` (${message})`}`;
  // Another host knows nothing of repositories and of who may read them.
  if (url.origin !== new URL(settings.endpoint).origin)
    return new UserError(
      'download-failed',
      `${shown}: ${answered}, where ${hostOf(settings)} says that the file lies; try again later`,
    );
  const page = `${settings.endpoint}/${repository}`;
  if (code === 'GatedRepo')
    return new UserError(
      'no-access',
      `hf:${repository} is gated: accept its terms on ${page}, and set HF_TOKEN to a token of yours`,
    );
  if (code === 'RevisionNotFound')
    return new UserError('no-such-model', `hf:${repository} has no revision ${revision}; look at ${page}`);
  if (code === 'EntryNotFound')
    return new UserError('no-such-model', `${shownRepository(source)} has no file ${name ?? ''}; look at ${page}`);
  // It says so of what is private, too, whoever asks.
  if (code === 'RepoNotFound' || ((status === 401 || status === 404) && code === null && message === null))
    return new UserError(
      status === 404 ? 'no-such-model' : 'no-access',
      `${hostOf(settings)} has no repository ${repository}, or it is private; check its name, and set HF_TOKEN to a token that may read it`,
    );
  if (status === 401 || status === 403)
    return new UserError(
      'no-access',
      `${shown}: ${answered}; look at ${page}, and set HF_TOKEN to a token that may read it`,
    );
  return new UserError(status === 404 ? 'no-such-model' : 'download-failed', `${shown}: ${answered}; look at ${page}`);
}

/** The error where it is not clear which file of a repository is meant. */
export function unclear(source: HubSource, names: readonly string[]): UserError {
  const models = names.filter((name) => name.endsWith('.onnx'));
  const listed = models.length > 0 ? models : names;
  const shown = `${listed.slice(0, SHOWN).join(', ')}${listed.length > SHOWN ? `, and ${listed.length - SHOWN} others` : ''}`;
  const repository = shownRepository(source);
  if (models.length === 0)
    return new UserError('no-such-model', `${repository} has no ONNX file; it holds ${shown || 'nothing'}`);
  return new UserError(
    'no-such-model',
    source.file === undefined
      ? `${repository} has several ONNX files; name one, as in ${repository}/${models[0] ?? ''}: ${shown}`
      : `${repository} has no file ${source.file}; its ONNX files: ${shown}`,
  );
}

/** What the hub names contents by: files of LFS by their SHA-256, small ones as git does. */
function checkOf(etag: string): Check | undefined {
  if (/^[0-9a-f]{64}$/.test(etag)) return { kind: 'sha256', hash: etag };
  return /^[0-9a-f]{40}$/.test(etag) ? { kind: 'git', hash: etag } : undefined;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
