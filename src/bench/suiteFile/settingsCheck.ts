import { closestMatch } from 'leven';
import { UserError } from '../../errors.js';
import { flagNamed } from '../../flagNames.js';
import { flagsOf } from '../../settings.js';
import { readTrainFlags, trainFlagSettings } from '../../train/trainOptions.js';
import type { TrainSettings } from '../suite.js';
import { didYouMean } from './schemaRefusal.js';
import type { Path, SuiteYaml } from './suiteYaml.js';

/** A section of settings, and where it stands. */
export interface SettingsSection<Value = Setting | readonly Setting[]> {
  readonly path: Path;
  readonly values: Readonly<Record<string, Value>> | undefined;
}

export type Setting = TrainSettings[string];

/** What the suite itself decides of each run. */
const DECIDED = ['model', 'data', 'policy', 'seed', 'cache'];
/** What `train` may set, and whether that is true or false. */
const FLAGS = new Map(flagsOf(trainFlagSettings).map(({ flag, kind }) => [flag, kind.type === 'boolean']));

/** Checks what a suite tells its trainings. */
export class SettingsCheck {
  constructor(private readonly yaml: SuiteYaml) {}

  /** @throws UserError `bad-suite` for settings that there are not, that the suite decides, or whose values are of another type. */
  section({ path, values = {} }: SettingsSection): void {
    for (const [key, value] of Object.entries(values)) {
      const at = [...path, key];
      if (DECIDED.includes(key))
        throw this.yaml.refusal(at, `the suite decides \`${key}\` of each run, and \`train\` may not set it`, true);
      const isSwitch = FLAGS.get(key);
      if (isSwitch === undefined) {
        const nearest = closestMatch(key, [...FLAGS.keys()]);
        throw this.yaml.refusal(at, `there is no setting \`${key}\`${didYouMean(nearest)}`, true);
      }
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
      readTrainFlags(settings);
    } catch (thrown) {
      if (!(thrown instanceof UserError)) throw thrown;
      const [mention = '', setting = ''] = / \(‹(\w+)›\)/.exec(thrown.text) ?? [];
      const key = flagNamed(setting);
      const section = sections.find(({ values }) => values && Object.hasOwn(values, key));
      throw this.yaml.refusal(section ? [...section.path, key] : ['train'], thrown.text.replace(mention, ''));
    }
  }
}
