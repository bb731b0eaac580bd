import { UserError } from '../errors.js';
import { matchesGlob } from '../policy/glob.js';

/** A factor for the learning rate of the layers or parameters whose names `glob` matches; `head` is the classifier. */
export interface LearningRateMultiplier {
  readonly glob: string;
  readonly multiplier: number;
}

/**
 * Reads `glob=factor,…`, such as `head=10,features.?.*=0.1`.
 * @throws UserError `bad-multiplier`.
 */
export function parseMultipliers(source: string): LearningRateMultiplier[] {
  return source.split(',').map((part) => {
    const at = part.lastIndexOf('=');
    const [glob, multiplier] = [part.slice(0, at).trim(), Number(part.slice(at + 1))];
    if (at < 1 || glob === '' || part.slice(at + 1).trim() === '' || !(multiplier > 0 && Number.isFinite(multiplier)))
      throw new UserError(
        'bad-multiplier',
        `expected a name and a factor above 0, such as head=10 or features.?.*=0.1, got \`${part}\` (‹learningRateMultipliers›)`,
      );
    return { glob, multiplier };
  });
}

/**
 * The factor of each parameter: the first glob counts that matches its name or its layer's; `heads` are the names of
 * the classifier's, the last layer unless said.
 * @throws UserError `bad-multiplier` for a glob that matches nothing that trains.
 */
export function multipliersOf(
  layers: readonly { readonly name: string; readonly parameters: readonly string[] }[],
  multipliers: readonly LearningRateMultiplier[],
  heads: ReadonlySet<string> = new Set(layers.slice(-1).map(({ name }) => name)),
): Map<string, number> {
  const found = new Map<string, number>();
  for (const { glob, multiplier } of multipliers) {
    const matches = (name: string) => matchesGlob(glob, name);
    let count = 0;
    for (const layer of layers) {
      const whole = matches(layer.name) || (glob === 'head' && heads.has(layer.name));
      for (const name of layer.parameters) {
        if (!whole && !matches(name)) continue;
        count++;
        if (!found.has(name)) found.set(name, multiplier);
      }
    }
    if (count === 0) {
      const names = layers.map(({ name }) => name);
      const some = names.length > 6 ? [...names.slice(0, 3), '…', ...names.slice(-2)] : names;
      throw new UserError(
        'bad-multiplier',
        `"${glob}" matches no layer that trains and none of its parameters; there are ${some.join(', ')} (‹learningRateMultipliers›)`,
      );
    }
  }
  return found;
}
