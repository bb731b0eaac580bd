import { inspect } from 'node:util';
import { z } from 'zod';
import { UserError } from './errors.js';
import { flagNamed, nameFlag } from './flagNames.js';

/** What there is to say of a setting beside its values and its default. */
export interface About {
  /** What it does, in one sentence without a capital; where the default is decided elsewhere, what that is. */
  readonly help: string;
  /** Under which heading help shows it. */
  readonly group?: string;
  /** Its name on the command line and in settings files, where that is not its key in kebab-case. */
  readonly flag?: string;
  /** Makes its value of a word. @throws UserError, whose text need not name the setting. */
  readonly read?: (text: string) => unknown;
  /** The code of the error for a wrong value; `bad-arguments` unless it is named. */
  readonly code?: string;
  /** Whether its flag may stand without a value, which then is empty. */
  readonly mayBeBare?: boolean;
  /** Whether `false` does without it, as --no-cache does. */
  readonly isOptional?: boolean;
  /** Whether it changes nothing of what a run learns: a run that is resumed may have another value. */
  readonly isIncidental?: boolean;
}

/** Settings by their keys: what {@link settings} takes, each a schema that {@link setting} or {@link joined} has made. */
export type SchemaShape = Readonly<Record<string, z.ZodType>>;
/** What a program gives for settings: those with a default may be left out. */
export type Given<S extends SchemaShape> = Readonly<z.input<z.ZodObject<S>>>;
/** Settings with every default filled in. */
export type Settled<S extends SchemaShape> = Readonly<z.output<z.ZodObject<S>>>;

/** A setting of several parts, which are flags of their own. */
interface Joint {
  readonly parts: SchemaShape;
  readonly join: (parts: Readonly<Record<string, unknown>>) => unknown;
}

const abouts = new WeakMap<z.ZodType, About>();
const joints = new WeakMap<z.ZodType, Joint>();

/** What a setting does, in words. */
export function helpOf(schema: z.ZodType): string {
  return abouts.get(schema)?.help ?? '';
}

/** Makes a setting of a schema: the one place where its default, its range and what it does are written. */
export function setting<Schema extends z.ZodType>(schema: Schema, about: About): Schema {
  abouts.set(schema, about);
  return schema;
}

/** The settings of one concern. */
export function settings<S extends SchemaShape>(shape: S): S {
  for (const [key, schema] of Object.entries(shape)) {
    const flag = abouts.get(schema)?.flag;
    if (flag !== undefined) nameFlag(key, flag);
  }
  return shape;
}

/** Makes one setting, such as an optimizer with its own settings, that is given as several flags. `join` leaves out what was not given. */
export function joined<Schema extends z.ZodType, Parts extends SchemaShape>(
  schema: Schema,
  parts: Parts,
  join: (parts: Settled<Parts>) => z.input<Schema>,
): Schema {
  joints.set(schema, { parts, join: (values) => join(values as Settled<Parts>) });
  return schema;
}

/** A whole number from `least` up, or to `most`. */
export function wholeNumber(least: number, most = Infinity) {
  const expected = `a whole number from ${most === Infinity ? `${least} up` : `${least} to ${most}`}`;
  const schema = z.int(expected).min(least, expected);
  return most === Infinity ? schema : schema.max(most, expected);
}

/** A number for which `accepts` holds, which `expected` says in words. */
export function number(expected: string, accepts: (value: number) => boolean = () => true) {
  return z.number(expected).refine(accepts, expected);
}

/** A number from `least` to `most`. */
export function numberFrom(least: number, most = Infinity) {
  const expected = `a number from ${most === Infinity ? `${least} up` : `${least} to ${most}`}`;
  return number(expected, (value) => value >= least && value <= most);
}

/** A number above `least`. */
export function numberAbove(least: number) {
  return number(`a number above ${least}`, (value) => value > least);
}

/** A number from `least` up to, not including, `end`. */
export function numberBelow(least: number, end: number) {
  return number(`a number from ${least} up to, not including, ${end}`, (value) => value >= least && value < end);
}

/** The keys of a record, as their own type. */
export function keysOf<Key extends string>(record: Readonly<Record<Key, unknown>>): Key[] {
  return Object.keys(record) as Key[];
}

/** One of several words. */
export function choice<const Name extends string>(names: readonly Name[]) {
  return z.enum(names, `one of ${names.join(', ')}`);
}

/** Of what kind a flag's values are. */
export type FlagKind =
  { readonly type: 'number' | 'string' | 'boolean' } | { readonly type: 'string'; readonly choices: readonly string[] };

/** A setting as help, settings files and tables need it. */
export interface Flag extends About {
  readonly key: string;
  readonly flag: string;
  readonly kind: FlagKind;
  readonly default: unknown;
  /** What values it takes, in words. */
  readonly expected: string;
}

/** The settings of `shape` one by one, the parts of a joint one each for itself. */
export function flagsOf(shape: SchemaShape): Flag[] {
  return Object.entries(shape).flatMap(([key, schema]) => {
    const joint = joints.get(schema);
    if (joint) return flagsOf(joint.parts);
    const about = abouts.get(schema);
    if (!about) throw new Error(`the setting ${key} says nothing of itself`);
    const missing = schema.safeParse(undefined);
    return {
      ...about,
      key,
      flag: flagNamed(key),
      kind: kindOf(schema, about),
      default: missing.success ? missing.data : undefined,
      expected: schema.safeParse(Symbol('no value')).error?.issues[0]?.message ?? '',
    };
  });
}

function kindOf(schema: z.ZodType, { read }: About): FlagKind {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodOptional || schema instanceof z.ZodNullable)
    return kindOf(schema.unwrap() as z.ZodType, { help: '', ...(read ? { read } : {}) });
  if (read) return { type: 'string' };
  if (schema instanceof z.ZodEnum) return { type: 'string', choices: schema.options.map(String) };
  if (schema instanceof z.ZodBoolean) return { type: 'boolean' };
  return { type: schema instanceof z.ZodNumber ? 'number' : 'string' };
}

/**
 * Settings as a program gives them, checked, with every default filled in.
 * @throws UserError that names the first setting that is wrong, by its key.
 */
export function settle<S extends SchemaShape>(shape: S, given: Given<S>): Settled<S> {
  const settled: Record<string, unknown> = {};
  for (const [key, schema] of Object.entries(shape)) {
    const value: unknown = given[key as keyof typeof given];
    const parsed = schema.safeParse(value);
    if (!parsed.success) throw refusal(key, value, parsed.error, abouts.get(schema));
    if (parsed.data !== undefined) settled[key] = parsed.data;
  }
  return settled as Settled<S>;
}

/**
 * Settings by the names of their flags, as a command line or a settings file gives them; what is in `flags` beside them is left alone.
 * @throws UserError as {@link settle}.
 */
export function settleFlags<S extends SchemaShape>(shape: S, flags: Readonly<Record<string, unknown>>): Settled<S> {
  const given: Record<string, unknown> = {};
  for (const [key, schema] of Object.entries(shape)) {
    const joint = joints.get(schema);
    const value = joint ? joint.join(settleFlags(joint.parts, flags)) : readFlag(key, schema, flags);
    if (value !== undefined) given[key] = value;
  }
  return settle(shape, given as Given<S>);
}

function readFlag(key: string, schema: z.ZodType, flags: Readonly<Record<string, unknown>>): unknown {
  const about = abouts.get(schema);
  const value = flags[flagNamed(key)];
  if (value === undefined || value === null) return undefined;
  if (value === false && about?.isOptional) return undefined;
  if (!about?.read) return value;
  const text = typeof value === 'string' ? value.trim() : inspect(value);
  try {
    return about.read(text);
  } catch (thrown) {
    if (thrown instanceof UserError && thrown.text === thrown.message)
      throw new UserError(thrown.code, `${thrown.text} (‹${key}›)`, { cause: thrown });
    throw thrown;
  }
}

function refusal(key: string, value: unknown, { issues }: z.ZodError, about: About | undefined): UserError {
  const [issue] = issues;
  const at = issue?.path ?? [];
  const wrong = at.reduce<unknown>(
    (whole, part) => (typeof whole === 'object' && whole !== null ? Reflect.get(whole, part) : undefined),
    value,
  );
  const where = at.length > 0 ? ` at ${at.join('.')}` : '';
  const shown = typeof wrong === 'string' ? wrong : inspect(wrong);
  const code = about?.code ?? 'bad-arguments';
  if (issue?.code === 'unrecognized_keys')
    return new UserError(code, `there is no \`${issue.keys.join(', ')}\`${where} to set; leave it out (‹${key}›)`);
  return new UserError(code, `expected ${issue?.message ?? 'something else'}, got \`${shown}\`${where} (‹${key}›)`);
}
