/** What a part of a data set is for; `none` holds photos whose classes are not told. */
export type Role = 'train' | 'val' | 'test' | 'none';

const ROLES: ReadonlyMap<string, Role> = new Map([
  ...['train', 'training', 'trainval', 'trn'].map((word) => [word, 'train'] as const),
  ...['val', 'valid', 'validation', 'validate', 'dev', 'development', 'eval', 'evaluation'].map(
    (word) => [word, 'val'] as const,
  ),
  ...['test', 'testing', 'tst', 'holdout', 'heldout'].map((word) => [word, 'test'] as const),
  ...['pred', 'predict', 'prediction', 'predictions', 'unlabelled', 'unlabeled', 'unsup', 'nolabel', 'nolabels'].map(
    (word) => [word, 'none'] as const,
  ),
]);
/** Words that say no more than that it is a part. */
const FILLERS = new Set([
  ...[
    'set',
    'sets',
    'data',
    'dataset',
    'split',
    'seg',
    'image',
    'images',
    'img',
    'imgs',
    'photo',
    'photos',
    'pictures',
  ],
  ...['folder', 'files', 'the', 'my'],
]);
const GLUED =
  /^(seg|img|images?|data)?(training|train|validation|valid|val|testing|test|dev|pred)(set|sets|data|dataset|images?|imgs?)?$/;

/**
 * What a folder, or a split in a list, is for by its name, whatever its case and separators: `Training`, `test_set`, `seg_train`,
 * `val2017`. `rest` is what else the name says: `cells` of `cells_train`, nothing in the others.
 */
function read(name: string): { readonly role: Role; readonly rest: string } | undefined {
  const words = name
    .normalize('NFC')
    // trainSet, TrainSet
    .replaceAll(/(\p{Ll})(\p{Lu})/gu, '$1 $2')
    .toLowerCase()
    .replaceAll(/(\p{L})(\d+)$/gu, '$1 $2')
    .replaceAll(/^(\d+)(\p{L})/gu, '$1 $2')
    .split(/[^\p{L}\p{M}\p{N}]+/u)
    .filter((word) => word !== '');
  // VOC's train_val is for training.
  const joined = words
    .join(' ')
    .replaceAll(/\btrain val\b/g, 'trainval')
    .split(' ');
  const roles = joined.flatMap((word) => {
    const role = ROLES.get(word) ?? ROLES.get(GLUED.exec(word)?.[2] ?? '');
    return role === undefined ? [] : [{ word, role }];
  });
  const [found] = roles;
  if (!found || roles.length > 1) return undefined;
  const rest = joined.filter((word) => word !== found.word && !FILLERS.has(word) && !/^\d+$/.test(word));
  return { role: found.role, rest: rest.join(' ') };
}

/** What a name says by itself; undefined for `train station` and everything else. */
export function roleOf(name: string): Role | undefined {
  const found = read(name);
  return found?.rest === '' ? found.role : undefined;
}

/** What a cell says in a column that tells splits: `PublicTest` too, which alone could be a class. */
export function roleIn(cell: string): Role | undefined {
  return read(cell)?.role;
}

const YES = /^(1|1\.0|t|true|y|yes)$/i;
const NO = /^(0|0\.0|f|false|n|no)$/i;

/**
 * How the cells of a column are read that asks about one split, such as `is_valid` or `is_training_image`; undefined for any other
 * name. Photos that are not there to train are there to test.
 */
export function questionOf(name: string): ((cell: string) => Role | undefined) | undefined {
  const found = read(name);
  if (found?.rest !== 'is') return undefined;
  const { role } = found;
  return (cell) => (YES.test(cell) ? role : NO.test(cell) ? (role === 'train' ? 'test' : 'train') : undefined);
}

/** What folders that stand beside each other are for by their names: `cells_train` is a part where `cells_test` is one, too. */
export function rolesOf(names: readonly string[]): ReadonlyMap<string, Role> {
  const all = names.flatMap((name) => {
    const found = read(name);
    return found ? [{ name, ...found }] : [];
  });
  const counts = (rest: string) =>
    rest === '' || new Set(all.flatMap((each) => (each.rest === rest ? [each.role] : []))).size > 1;
  return new Map(all.filter(({ rest }) => counts(rest)).map(({ name, role }) => [name, role]));
}
