import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { machineErrorOf } from './machineError.js';

/** Node.js opens all modules that a module imports at once, some 150 here; who may open more than this need not care. */
const PLENTY = 512;
/** What a module imports, as TypeScript and bundlers write it. */
const IMPORTS = /(?:^|[;}\s])(?:import|export)\s*(?:[\w*{][^'";]*?from\s*)?['"]([^'"]+)['"]/g;

/**
 * Loads `entries`, places of modules or names of packages, and what they import, one after another, where this process may open few
 * files. Elsewhere it does nothing: to load many at once is faster. A module that cannot be loaded is left to who imports it.
 * @throws MachineError where no file at all can be opened.
 */
export async function preload(...entries: readonly (URL | string)[]): Promise<void> {
  if (mostFiles() > PLENTY) return;
  const seen = new Set<string>();
  for (const entry of entries) {
    const url = entry instanceof URL ? entry.href : resolved(entry, import.meta.url);
    if (url !== undefined) await load(url, seen);
  }
}

/** The modules in a folder. */
export function modulesIn(folder: URL): URL[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.js'))
    .map((name) => new URL(name, folder));
}

/** Imports a module after those that it imports. */
async function load(url: string, seen: Set<string>): Promise<void> {
  if (seen.has(url) || !url.startsWith('file:')) return;
  seen.add(url);
  try {
    for (const specifier of importsOf(url)) {
      const imported = resolved(specifier, url);
      if (imported !== undefined) await load(imported, seen);
    }
    await import(url);
  } catch (thrown) {
    const machine = machineErrorOf(thrown);
    if (machine) throw machine;
  }
}

function importsOf(url: string): string[] {
  // What is no ES module loads what it needs one after another.
  if (!/\.m?js$/.test(url)) return [];
  return [...readFileSync(fileURLToPath(url), 'utf8').matchAll(IMPORTS)].flatMap(([, specifier]) => specifier ?? []);
}

function resolved(specifier: string, from: string): string | undefined {
  if (specifier.startsWith('.')) return new URL(specifier, from).href;
  try {
    return ofPackage(specifier, dirname(fileURLToPath(from))) ?? import.meta.resolve(specifier);
  } catch {
    // It is missing, which whoever imports it says, or the word stands in a text.
    return undefined;
  }
}

/** The entry of a package, as a module in `folder` gets it; undefined for what is no package's own name. */
function ofPackage(name: string, folder: string): string | undefined {
  if (name.split('/').length > (name.startsWith('@') ? 2 : 1)) return undefined;
  for (let above = folder; ; above = dirname(above)) {
    const inside = join(above, 'node_modules', name);
    const file = join(inside, 'package.json');
    if (existsSync(file)) {
      const entry = entryOf(JSON.parse(readFileSync(file, 'utf8')));
      return entry === undefined ? undefined : pathToFileURL(join(inside, entry)).href;
    }
    if (dirname(above) === above) return undefined;
  }
}

/** The entry that an `exports` names, by its conditions. */
function entryOf(exported: unknown): string | undefined {
  if (typeof exported === 'string') return exported;
  if (typeof exported !== 'object' || exported === null) return undefined;
  const conditions = new Map<string, unknown>(Object.entries(exported));
  return ['exports', '.', 'node', 'import', 'default']
    .map((condition) => entryOf(conditions.get(condition)))
    .find((entry) => entry !== undefined);
}

/** How many files this process may open, where the system tells. */
function mostFiles(): number {
  try {
    const [, most = ''] = /^Max open files\s+\S+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return most === '' ? Infinity : Number(most);
  } catch {
    return Infinity;
  }
}
