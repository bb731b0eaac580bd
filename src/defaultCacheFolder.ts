import { homedir } from 'node:os';
import { join } from 'node:path';

/**
 * Where ort-tl keeps what can be made or loaded again, unless the user says otherwise: `ORT_TL_CACHE`, or the system's folder for such
 * things.
 */
export function defaultCacheFolder(env: NodeJS.ProcessEnv = process.env, platform: string = process.platform): string {
  const { ORT_TL_CACHE, LOCALAPPDATA, XDG_CACHE_HOME } = env;
  if (ORT_TL_CACHE) return ORT_TL_CACHE;
  if (platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'ort-tl');
  if (platform === 'win32') return join(LOCALAPPDATA ?? join(homedir(), 'AppData', 'Local'), 'ort-tl', 'Cache');
  return join(XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'ort-tl');
}
