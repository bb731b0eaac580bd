import { homedir } from 'node:os';
import { join } from 'node:path';
import { defaultCacheFolder } from '../defaultCacheFolder.js';
import { UserError } from '../errors.js';
import { fileErrorCode, fileReason, MOST_BYTES, readRegularFileSync } from '../files.js';

const HUB = 'https://huggingface.co';

/** Where networks come from and go to, as the environment says: by the variables that Python's `huggingface_hub` reads too. */
export interface HubSettings {
  /** The hub's address, without a slash at its end. */
  readonly endpoint: string;
  /** The folder of the cache that the programs of the hub share. */
  readonly hubCache: string;
  /** Where files from other addresses are kept. */
  readonly ownCache: string;
  /** Whether nothing may be asked of the network. */
  readonly isOffline: boolean;
  /** Whether the cache holds copies in place of links. */
  readonly copies: boolean;
  /** What the hub knows a user by, read when it is needed. @throws UserError `no-access` where it cannot be one. */
  readonly token: () => string | undefined;
}

/** @throws UserError `bad-arguments` where HF_ENDPOINT is no address. */
export function hubSettings(env: NodeJS.ProcessEnv = process.env): HubSettings {
  const expanded = (path: string) => (/^~(?:$|[\\/])/.test(path) ? join(homedir(), path.slice(1)) : path);
  const cacheHome = env['XDG_CACHE_HOME'] || join(homedir(), '.cache');
  const home = expanded(env['HF_HOME'] || join(cacheHome, 'huggingface'));
  const endpoint = (env['HF_ENDPOINT'] || HUB).replace(/\/+$/, '');
  if (!/^https?:\/\/[^/?#@]+(?:\/[^?#]*)?$/i.test(endpoint))
    throw new UserError(
      'bad-arguments',
      `expected the address of a hub, such as ${HUB}, got \`${endpoint}\` (HF_ENDPOINT)`,
    );
  return {
    endpoint,
    hubCache: expanded(env['HF_HUB_CACHE'] || env['HUGGINGFACE_HUB_CACHE'] || join(home, 'hub')),
    ownCache: join(defaultCacheFolder(env), 'models'),
    isOffline: isTrue(env['HF_HUB_OFFLINE']) || isTrue(env['TRANSFORMERS_OFFLINE']),
    copies: isTrue(env['HF_HUB_DISABLE_SYMLINKS']),
    token: () => tokenOf(env, expanded(env['HF_TOKEN_PATH'] || join(home, 'token'))),
  };
}

/** What `huggingface_hub` takes for yes. */
const isTrue = (value = '') => /^(?:1|on|yes|true)$/i.test(value);

function tokenOf(env: NodeJS.ProcessEnv, path: string): string | undefined {
  const given = env['HF_TOKEN'] || env['HUGGING_FACE_HUB_TOKEN'];
  const token = (given || readToken(path)).trim();
  if (token === '') return undefined;
  // It would be refused as a header, in an error that quotes it.
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw new UserError(
    'no-access',
    `${given ? 'HF_TOKEN' : path} holds characters that no token has; copy it again from the page of your tokens`,
  );
}

function readToken(path: string): string {
  try {
    return readRegularFileSync(path, MOST_BYTES.settings).toString('utf8');
  } catch (thrown) {
    if (['ENOENT', 'ENOTDIR'].includes(fileErrorCode(thrown) ?? '')) return '';
    throw new UserError('no-access', `cannot read the token in ${path}: ${fileReason(thrown)}`, { cause: thrown });
  }
}
