import { existsSync } from 'node:fs';
import leven from 'leven';
import { UserError } from '../errors.js';
import { ownWords } from './verb.js';

/** The flags of a verb. */
export interface VerbFlags {
  readonly names: ReadonlySet<string>;
  /** Those that take no value. */
  readonly switches: ReadonlySet<string>;
  /** Those that take all values up to the next flag. */
  readonly lists: ReadonlySet<string>;
}

/** A verb as this file needs it. */
export interface KnownVerb {
  /** Such as `inspect <model>`. */
  readonly usage: string;
  readonly flags: () => Promise<VerbFlags>;
}

/** Verbs by what other programs call them. */
const VERBS: Readonly<Record<string, string>> = {
  ...{ val: 'eval', validate: 'eval', evaluate: 'eval', test: 'eval' },
  ...{ fit: 'train', finetune: 'train', 'fine-tune': 'train', retrain: 'train' },
  ...{ infer: 'predict', classify: 'predict', dataset: 'data' },
};

/** What becomes of a flag of another program: another name, the photos themselves, or an answer. */
type Other = { readonly is: string } | 'photos' | { readonly say: string };

const POLICIES = '--policy says what trains: F1C0 the head alone, F1C1 the last convolution too, full everything';
const LORA = '--policy lora:8 trains adapters of rank 8, lora:8:16 says alpha too, and lora:8@4 the last four blocks';
const OUT = '--out names the folder of a run, such as --out runs/first';
const PROVIDER = '--provider says what computes: cpu, cuda, webgpu, coreml, dml or auto';

/** Flags by what other programs call them. */
const FLAGS: Readonly<Record<string, Other>> = {
  ...{ imgsz: { is: 'size' }, 'img-size': { is: 'size' }, 'image-size': { is: 'size' } },
  ...{ lr0: { is: 'lr' }, 'learning-rate': { is: 'lr' }, 'batch-size': { is: 'batch' }, bs: { is: 'batch' } },
  ...{ weights: { is: 'model' }, checkpoint: { is: 'model' }, dataset: { is: 'data' }, 'data-dir': { is: 'data' } },
  ...{ output: { is: 'out' }, 'output-dir': { is: 'out' }, 'save-dir': { is: 'out' }, 'exist-ok': { is: 'overwrite' } },
  ...{ wd: { is: 'weight-decay' }, opt: { is: 'optimizer' }, source: 'photos' },
  ...{ freeze: { say: POLICIES }, unfreeze: { say: POLICIES } },
  pretrained: { say: 'every training starts from a pretrained network; --model says from which' },
  ...{ half: { say: '--precision fp16 exports it so' }, int8: { say: '--precision int8 exports it so' } },
  ...{ lora: { say: LORA }, 'lora-rank': { say: LORA }, 'lora-r': { say: LORA }, 'lora-alpha': { say: LORA } },
  augment: { say: 'each kind of augmentation has its flag, such as --flip 0.5 --random-crop 0.35 --rand-augment 9' },
  ...{ device: { say: PROVIDER }, gpu: { say: PROVIDER }, gpus: { say: PROVIDER } },
  workers: { say: 'photos are read while it computes, without a setting; --threads says how many threads compute' },
  ...{ name: { say: OUT }, project: { say: OUT } },
};

/** Values by what other programs call them, of a flag, or of a verb's first word. */
const VALUES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  precision: {
    ...{ float32: 'fp32', f32: 'fp32', float16: 'fp16', f16: 'fp16', half: 'fp16' },
    ...{ q8: 'int8', quantized: 'int8' },
  },
  format: { 'transformers.js': 'transformers-js', transformersjs: 'transformers-js', tjs: 'transformers-js' },
  models: {
    ...{ list: 'ls', download: 'pull', get: 'pull', fetch: 'pull', add: 'pull', install: 'pull' },
    ...{ remove: 'rm', delete: 'rm', del: 'rm', uninstall: 'rm', where: 'path', which: 'path' },
  },
  cache: { list: 'ls', remove: 'rm', delete: 'rm', del: 'rm', clean: 'prune' },
};

/** What `value` of `of` is called here. */
function valueCalled(of: string, value: string): string {
  const others = Object.hasOwn(VALUES, of) ? VALUES[of] : undefined;
  return others && Object.hasOwn(others, value) ? (others[value] ?? value) : value;
}

/**
 * The words of a command line with ours in place of those that other programs use: another verb or flag, `key=value` without dashes, photos
 * or a model without a flag.
 * @throws UserError `bad-arguments` that names what does it here, or the nearest word.
 */
export async function inOurTerms(given: readonly string[], verbs: readonly KnownVerb[]): Promise<readonly string[]> {
  const own = ownWords(given);
  if (own.includes('--get-yargs-completions')) return given;
  if (own.length === 0 && given.length === 0) return ['--help'];
  const at = own.findIndex((word) => !word.startsWith('-'));
  const before = own.map((word) => (word === '-h' ? '--help' : word));
  if (at < 0) return [...before, ...given.slice(own.length)];
  const word = own[at] ?? '';
  if (word === 'version') return ['--version'];
  if (word === 'help') {
    const topic = own[at + 1];
    return topic === undefined ? ['--help'] : [verbCalled(topic, verbs), '--help'];
  }
  const name = verbCalled(word, verbs);
  const verb = verbs.find(({ usage }) => nameOf(usage) === name);
  const after = before.slice(at + 1);
  const behind = given.slice(own.length);
  // What measure runs has words of its own.
  if (!verb || name === 'measure') return [...before.slice(0, at), name, ...after, ...behind];
  const reader = new WordReader(verb, verbs, await verb.flags(), after);
  return [...before.slice(0, at), name, ...(await reader.read()), ...behind];
}

const nameOf = (usage: string) => usage.split(' ')[0] ?? '';

/** @throws UserError `bad-arguments` for a verb that there is not. */
function verbCalled(word: string, verbs: readonly KnownVerb[]): string {
  const names = [...verbs.map(({ usage }) => nameOf(usage)), 'completion'];
  if (names.includes(word)) return word;
  const other = Object.hasOwn(VERBS, word) ? VERBS[word] : undefined;
  if (other !== undefined) return other;
  const near = nearest(word, names);
  const meant = near ?? (existsSync(word) ? `train --data ${word}` : undefined);
  throw new UserError(
    'bad-arguments',
    `there is no \`${word}\` here${meant === undefined ? '; see ort-tl --help' : `; did you mean ort-tl ${meant}?`}`,
  );
}

/** The likeliest of `names` for a word that was mistyped; undefined where none is like it. */
function nearest(word: string, names: Iterable<string>): string | undefined {
  let best: string | undefined;
  // Two letters that changed places are two changes.
  let least = Math.max(word.length > 3 ? 2 : 1, Math.floor(word.length / 3)) + 1;
  for (const name of names) {
    const distance = leven(word, name);
    if (distance < least) [best, least] = [name, distance];
  }
  return best;
}

/** `batchSize` and `batch_size` as `batch-size`. */
const kebab = (name: string) =>
  name
    .replaceAll(/([a-z\d])([A-Z])/g, '$1-$2')
    .replaceAll('_', '-')
    .toLowerCase();

/** Reads what stands behind a verb. */
class WordReader {
  private readonly ours: string[] = [];

  constructor(
    private readonly verb: KnownVerb,
    private readonly verbs: readonly KnownVerb[],
    private readonly flags: VerbFlags,
    private readonly words: readonly string[],
  ) {}

  async read(): Promise<string[]> {
    const { words } = this;
    for (let at = 0; at < words.length; at++) {
      const word = words[at] ?? '';
      const [, name = '', value] = /^--([^=]+)(?:=(.*))?$/s.exec(word) ?? [];
      if (name !== '') {
        const flag = await this.flagCalled(name, value);
        if (flag === undefined) continue;
        this.ours.push(value === undefined ? `--${flag}` : `--${flag}=${valueCalled(flag, value)}`);
        if (value !== undefined || this.isSwitch(flag)) continue;
        // Its values stay as they are, whatever they look like.
        do {
          const next = words[at + 1];
          if (next === undefined || /^--?[a-z]/i.test(next)) break;
          this.ours.push(valueCalled(flag, next));
          at++;
        } while (this.flags.lists.has(flag));
      } else if (word.startsWith('-')) this.ours.push(word);
      else await this.readBare(this.takesAction && at === 0 ? valueCalled(nameOf(this.verb.usage), word) : word);
    }
    return this.ours;
  }

  /** What a flag is called here; undefined where what follows it are photos. @throws UserError `bad-arguments`. */
  private async flagCalled(name: string, value: string | undefined): Promise<string | undefined> {
    const { names } = this.flags;
    const plain = kebab(name.replace(/\..*$/s, ''));
    if (names.has(plain) || names.has(plain.replace(/^no-/, ''))) return name;
    const other = Object.hasOwn(FLAGS, plain) ? FLAGS[plain] : undefined;
    if (other === 'photos' && names.has('photos')) {
      if (value !== undefined) this.ours.push(value);
      return undefined;
    }
    if (other === 'photos' && names.has('data')) return 'data';
    if (typeof other === 'object' && 'is' in other && names.has(other.is)) return other.is;
    if (typeof other === 'object' && 'say' in other)
      throw new UserError('bad-arguments', `there is no --${name} here: ${other.say}`);
    throw new UserError('bad-arguments', await this.unknown(name, plain));
  }

  private async unknown(name: string, plain: string): Promise<string> {
    const verb = nameOf(this.verb.usage);
    const near = nearest(plain, this.flags.names);
    if (near !== undefined) return `ort-tl ${verb} has no --${name}; did you mean --${near}?`;
    for (const other of this.verbs)
      if (other !== this.verb && (await other.flags()).names.has(plain))
        return `ort-tl ${verb} has no --${name}, which is of ort-tl ${nameOf(other.usage)}; see ort-tl ${verb} --help`;
    return `there is no \`--${name}\` here; see ort-tl ${verb} --help`;
  }

  private async readBare(word: string): Promise<void> {
    const [, key = '', value = ''] = /^([a-z][\w-]*)=(.*)$/is.exec(word) ?? [];
    const plain = kebab(key);
    const isSetting = this.flags.names.has(plain) || Object.hasOwn(FLAGS, plain);
    if (key !== '' && (isSetting || !this.takesWords) && !existsSync(word)) {
      const flag = await this.flagCalled(plain, value);
      if (flag === undefined) return;
      this.ours.push(`--${flag}=${this.isSwitch(flag) ? value.toLowerCase() : valueCalled(flag, value)}`);
      return;
    }
    const flag = this.takesWords || this.isGiven('resume') ? undefined : word.endsWith('.onnx') ? 'model' : 'data';
    const fits = flag !== undefined && this.flags.names.has(flag) && !this.isGiven(flag);
    this.ours.push(fits ? `--${flag}=${word}` : word);
  }

  /** Whether the verb's first word says what it does, as in `models ls`. */
  private get takesAction(): boolean {
    return this.verb.usage.includes('<action>');
  }

  /** Whether the verb takes words without a flag. */
  private get takesWords(): boolean {
    return this.verb.usage.includes(' ');
  }

  private isSwitch(flag: string): boolean {
    return this.flags.switches.has(kebab(flag).replace(/^no-/, '')) || this.flags.switches.has(kebab(flag));
  }

  /** Whether a flag stands among the words, by whatever name. */
  private isGiven(flag: string): boolean {
    return [...this.words, ...this.ours].some((word) => {
      const [, name = ''] = /^(?:--)?([a-z][\w-]*)(?:=|$)/i.exec(word) ?? [];
      const plain = kebab(name);
      const other = Object.hasOwn(FLAGS, plain) ? FLAGS[plain] : undefined;
      const isFlag = word.startsWith('--') || (word.includes('=') && !existsSync(word));
      return isFlag && (plain === flag || (typeof other === 'object' && 'is' in other && other.is === flag));
    });
  }
}
