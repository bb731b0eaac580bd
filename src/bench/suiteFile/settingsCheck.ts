import { closestMatch } from 'leven';
import { UserError } from '../../errors.js';
import type { TrainSettings } from '../suite.js';
import { didYouMean } from './schemaRefusal.js';
import type { Path, SuiteYaml } from './suiteYaml.js';

/** What a training may be told. */
export interface KnownSettings {
  /** What `train` may set: the flags of `ort-tl train`. */
  readonly settings: readonly string[];
  /** Those that are true or false. */
  readonly switches: readonly string[];
  /** Refuses values that a training would refuse, with the flag in brackets: (--lr). @throws UserError */
  readonly check?: (settings: TrainSettings) => void;
}

/** A section of settings, and where it stands. */
export interface SettingsSection<Value = Setting | readonly Setting[]> {
  readonly path: Path;
  readonly values: Readonly<Record<string, Value>> | undefined;
}

export type Setting = TrainSettings[string];

/** What the suite itself decides of each run. */
const DECIDED = ['model', 'data', 'policy', 'seed', 'cache'];

/** Checks what a suite tells its trainings. */
export class SettingsCheck {
  constructor(
    private readonly yaml: SuiteYaml,
    private readonly known: KnownSettings,
  ) {}

  /** @throws UserError `bad-suite` for settings that there are not, that the suite decides, or whose values are of another type. */
  section({ path, values = {} }: SettingsSection): void {
    for (const [key, value] of Object.entries(values)) {
      const at = [...path, key];
      if (DECIDED.includes(key))
        throw this.yaml.refusal(at, `the suite decides \`${key}\` of each run, and \`train\` may not set it`, true);
      if (!this.known.settings.includes(key)) {
        const nearest = closestMatch(key, [...this.known.settings]);
        throw this.yaml.refusal(at, `there is no setting \`${key}\`${didYouMean(nearest)}`, true);
      }
      const isSwitch = this.known.switches.includes(key);
      const wrong = [value].flat().find((each) => (typeof each === 'boolean') !== isSwitch);
      if (wrong !== undefined)
        throw this.yaml.refusal(at, `expected ${isSwitch ? 'true or false' : 'a number or a word'}, got \`${wrong}\``);
    }
  }

  /**
   * Checks all settings of a training together.
   * @param sections where they come from, of which the first that has a setting is to blame for it.
   * @throws UserError `bad-suite` where a training would refuse them.
   */
  together(settings: TrainSettings, sections: readonly SettingsSection[]): void {
    try {
      this.known.check?.(settings);
    } catch (thrown) {
      if (!(thrown instanceof UserError)) throw thrown;
      const [flag, key = ''] = / \(--([\w-]+)\)/.exec(thrown.message) ?? [''];
      const section = sections.find(({ values }) => values && Object.hasOwn(values, key));
      throw this.yaml.refusal(section ? [...section.path, key] : ['train'], thrown.message.replace(flag, ''));
    }
  }
}
