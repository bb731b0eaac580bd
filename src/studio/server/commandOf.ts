import { shellWord } from '../../text.js';
import type { ExportForm, Flags, JobRequest } from '../api.js';

/** Where a job's command finds and leaves its files. */
export interface Places {
  readonly model: string;
  readonly data: string;
  /** The folder of a run, by its name. */
  readonly runFolder: (name: string) => string;
  /** The folder of a new run. */
  readonly newRun: (policy: string) => string;
  /** What an export writes. */
  readonly exportPath: (run: string, form: ExportForm) => string;
}

/** One file that takes photos as they are and gives probabilities, as the programs of docs/use.md want it. */
const WHOLE = ['--preprocessing', 'baked', '--softmax'];
const FORMS: Readonly<Record<ExportForm, readonly string[]>> = {
  fp32: WHOLE,
  fp16: [...WHOLE, '--precision', 'fp16'],
  int8: [...WHOLE, '--precision', 'int8'],
  web: ['--format', 'web'],
  'transformers-js': ['--format', 'transformers-js'],
  delta: ['--delta'],
};

/** The words of the `ort-tl` command that does what is asked. */
export function commandOf(request: JobRequest, places: Places): string[] {
  const { model, data } = places;
  const source = [...flag('model', model), ...flag('data', data)];
  switch (request.kind) {
    case 'train': {
      const { policy, epochs, flags = {} } = request;
      const out = flag('out', places.newRun(policy));
      const length = epochs === undefined ? [] : ['--epochs', String(epochs)];
      return ['train', ...source, ...flag('policy', policy), ...length, ...wordsOf(flags), ...out];
    }
    case 'resume':
      return ['train', ...flag('resume', places.runFolder(request.run))];
    case 'recommend':
      return ['recommend', ...source];
    case 'export': {
      const { run, form } = request;
      const folder = places.runFolder(run);
      return ['export', asPath(folder), ...FORMS[form], ...flag('out', places.exportPath(run, form))];
    }
  }
}

/** A flag with its value, which may look like a flag itself. */
function flag(name: string, value: string): string[] {
  return value.startsWith('-') ? [`--${name}=${value}`] : [`--${name}`, value];
}

/** A path that is not taken for a flag. */
const asPath = (path: string) => (path.startsWith('-') ? `./${path}` : path);

function wordsOf(flags: Flags): string[] {
  return Object.entries(flags).flatMap(([name, value]) => {
    if (typeof value === 'boolean') return [value ? `--${name}` : `--no-${name}`];
    // A value may begin with a dash.
    return [`--${name}=${value}`];
  });
}

/** A command as a line for a shell. */
export const shellLine = (words: readonly string[]): string => words.map(shellWord).join(' ');
