import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { closestMatch } from 'leven';
import { parse } from 'yaml';
import { z } from 'zod';
import { UserError } from '../errors.js';
import { type AddressSource, type HubSource, parseSource } from './modelSource.js';

/** The network that is taken where none is named. */
export const DEFAULT_MODEL = 'efficientnet_lite0';

const at = (name: string) => fileURLToPath(new URL(`../../models/${name}`, import.meta.url));

const entrySchema = z.strictObject({
  name: z.string().regex(/^[\w.-]+$/),
  /** `file:` and a file beside the registry, or the name of one of the hub or at an address. */
  source: z.string().regex(/^(?:file:[\w.-]+\.onnx|hf:.+|https:.+)$/),
  licence: z.string(),
  bytes: z.int().positive().optional(),
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional(),
  /** Where it is said how pixels are normalised, and how where that is known. */
  preprocessing: z.string(),
  /** What it is good for. */
  about: z.string(),
  /** What was measured of it, with what. */
  measured: z.string().optional(),
});

/** A network that has a name. */
export type RegistryEntry = z.infer<typeof entrySchema>;

let entries: readonly RegistryEntry[] | undefined;

/** The networks that have a name. */
export function registry(): readonly RegistryEntry[] {
  return (entries ??= readRegistry(readFileSync(at('registry.yaml'), 'utf8')));
}

/** @throws ZodError, Error where it is not as it must be: it comes with ort-tl. */
export function readRegistry(text: string): readonly RegistryEntry[] {
  const all = z.array(entrySchema).parse(parse(text));
  const twice = all.find(({ name }, index) => all.findIndex((other) => other.name === name) !== index);
  if (twice) throw new Error(`the registry has two networks by the name ${twice.name}`);
  return all;
}

/** Where a network lies that comes with ort-tl; undefined for one that is loaded. */
export function embeddedPath({ source }: RegistryEntry): string | undefined {
  return source.startsWith('file:') ? at(source.slice('file:'.length)) : undefined;
}

/** Where a network comes from that does not come with ort-tl. */
export function sourceOf({ name, source, sha256 }: RegistryEntry): HubSource | AddressSource {
  const parsed = parseSource(source);
  if (!parsed) throw new Error(`the registry has no source for ${name}`);
  return { ...parsed, sha256: sha256 ?? parsed.sha256 };
}

/** The error for a name that stands for nothing, with the nearest names that do. */
export function unknownModel(name: string): UserError {
  const names = registry().map((entry) => entry.name);
  const bare = name.toLowerCase();
  const parts = names.filter((each) => bare.length >= 3 && (each.includes(bare) || bare.includes(each)));
  const closest = closestMatch(bare, names, { maxDistance: Math.max(3, Math.floor(bare.length / 3)) });
  const near = [...new Set([...(closest === undefined ? [] : [closest]), ...parts])];
  const which = near.length > 0 ? `did you mean ${near.join(' or ')}?` : `there are ${names.join(', ')}`;
  return new UserError(
    'no-such-model',
    `there is no model \`${name}\`: no file or run by this name, and no network (ort-tl models ls); ${which}`,
  );
}
