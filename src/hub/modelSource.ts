import { UserError } from '../errors.js';
import { isSafeName, isSafePath } from './safeName.js';

/** A file of a repository of the Hugging Face hub. */
export interface HubSource {
  readonly kind: 'hub';
  /** `owner/repository`. */
  readonly repository: string;
  /** A branch, a tag or a commit; the branch `main` where none is named. */
  readonly revision: string;
  /** Its path in the repository, where one is named. */
  readonly file: string | undefined;
  readonly sha256: string | undefined;
}

/** A file at an address. */
export interface AddressSource {
  readonly kind: 'address';
  /** Without the hash. */
  readonly url: URL;
  readonly file: string;
  readonly sha256: string | undefined;
}

const HUB = /^hf:([^/@#]+)\/([^/@#]+)(?:@([^/#]+))?(?:\/([^#]+))?$/;
/** Names of owners and of repositories, as the hub allows them. */
const WORD = /^[A-Za-z0-9_](?:[\w.-]{0,94}[\w])?$/;
const SHA256 = /^sha256=([0-9a-f]{64})$/i;

/**
 * What a name that begins with `hf:` or with a scheme of the web stands for; undefined for any other.
 * @throws UserError `bad-model-name` where it begins so and does not go on as it must.
 */
export function parseSource(name: string): HubSource | AddressSource | undefined {
  if (name.startsWith('hf:')) return hubSource(name);
  return /^https?:/i.test(name) ? addressSource(name) : undefined;
}

function hubSource(name: string): HubSource {
  const [before, hash] = splitOnce(name, '#');
  const [, owner = '', repository = '', given = 'main', file] = HUB.exec(before) ?? [];
  const revision = given.replaceAll(/%2f/gi, '/');
  const fits = WORD.test(owner) && WORD.test(repository) && !/\.\.|--/.test(`${owner}/${repository}`);
  if (!fits || !isRevision(revision) || (file !== undefined && !(isSafePath(file) && file.endsWith('.onnx'))))
    throw new UserError(
      'bad-model-name',
      `expected hf:owner/repository, with @revision and /path.onnx behind it if need be, got \`${name}\``,
    );
  return { kind: 'hub', repository: `${owner}/${repository}`, revision, file, sha256: hashOf(hash, name) };
}

/** Whether git takes it for a branch, a tag or a commit (git-check-ref-format), and disks for a path. */
const isRevision = (revision: string) =>
  isSafePath(revision) && !/[\s~^[]|\.\.|@\{|\/\.|^[-.]|\.lock(?:\/|$)/.test(revision);

function addressSource(name: string): AddressSource {
  const refuse = (reason: string) => new UserError('bad-model-name', `${shownAddress(name)}: ${reason}`);
  const [before, hash] = splitOnce(name, '#');
  const url = urlOf(before);
  if (!url) throw refuse('it is no address');
  if (url.username !== '' || url.password !== '')
    throw refuse('an address must hold no user and no password, which would be shown and kept');
  const sha256 = hashOf(hash, name);
  const file = fileOf(url);
  if (file === undefined) throw refuse('expected the address of an ONNX file, whose path ends in .onnx');
  if (url.protocol === 'http:' && sha256 === undefined && !isLocal(url))
    throw refuse('what comes unencrypted can be changed on the way; take https, or put its hash behind it (#sha256=…)');
  return { kind: 'address', url, file, sha256 };
}

function fileOf({ pathname }: URL): string | undefined {
  try {
    const file = decodeURIComponent(pathname.slice(pathname.lastIndexOf('/') + 1));
    return isSafeName(file) && file.endsWith('.onnx') ? file : undefined;
  } catch {
    return undefined;
  }
}

function hashOf(hash: string | undefined, name: string): string | undefined {
  if (hash === undefined) return undefined;
  const [, sha256] = SHA256.exec(hash) ?? [];
  if (sha256 !== undefined) return sha256.toLowerCase();
  throw new UserError(
    'bad-model-name',
    `expected #sha256= and 64 hexadecimal digits behind a model's name, got \`#${hash}\` behind ${shownAddress(name)}`,
  );
}

/** Whether an address is of this machine. */
export const isLocal = ({ hostname }: URL): boolean => /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(hostname);

/** An address without what may be secret in it: a query, a user and a password. */
export function shownAddress(address: string | URL): string {
  const url = urlOf(String(address));
  return url && /^https?:$/.test(url.protocol) ? `${url.origin}${url.pathname}` : String(address);
}

function urlOf(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}
