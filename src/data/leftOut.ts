import { isOtherPicture } from './photoTypes.js';

/** Why a file is no photo to train, validate or test with: what it is, or where it lies. Types of files are named by extension. */
export const REASONS = {
  thumbnails: 'thumbnails',
  system: 'system files',
  hidden: 'hidden files',
  stray: 'beside the class folders',
  unlabelled: 'without a class',
  unknownClass: 'of a class that does not train',
  misnamed: 'of a class that cannot be called so',
  brokenLink: 'broken links',
  repeatedLink: 'links to folders that are counted already',
  zipLink: 'links in a zip file',
  special: 'pipes, sockets and devices',
  sameEntry: 'entries of the same name',
  sameLine: 'lines that name a photo again',
  limit: 'over the limit',
  sameContent: 'in a further folder, with the same content',
} as const;

/** Reason or type → how many files. */
export type LeftOut = Readonly<Record<string, number>>;

/** Files of types that are not read are told of when there are more of them than these; pictures are always told of. */
const FEW = 3;
/** Types that a message names. */
const NAMED_TYPES = 4;

export class LeftOutCounts {
  private readonly counts: Map<string, number>;

  constructor(before?: LeftOutCounts) {
    this.counts = new Map(before?.counts);
  }

  add(reason: string, count = 1): void {
    if (count > 0) this.counts.set(reason, (this.counts.get(reason) ?? 0) + count);
  }

  /** The most frequent first. */
  toRecord(): LeftOut {
    return Object.fromEntries([...this.counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)));
  }
}

export const totalOf = (leftOut: LeftOut): number => Object.values(leftOut).reduce((sum, count) => sum + count, 0);

/** `7 .heic, 5 .bmp, 3 of other types`, with what to do about those that are pictures. */
export function someTypes(types: readonly (readonly [string, number])[], advises = false): string {
  const sorted = [...types].sort(([, m], [, n]) => n - m);
  const named = sorted
    .slice(0, NAMED_TYPES)
    .map(([type, count]) => `${count} ${type === 'no extension' ? 'without extension' : type}`);
  const others = sorted.slice(NAMED_TYPES).reduce((sum, [, count]) => sum + count, 0);
  const advice = advises && types.some(([type]) => isOtherPicture(type)) ? '; convert the pictures to JPEG' : '';
  return `${[...named, ...(others > 0 ? [`${others} of other types`] : [])].join(', ')}${advice}`;
}

const isType = (reason: string) => reason.startsWith('.') || reason === 'no extension';

/** A line for each kind of file that somebody may miss. */
export function leftOutLines(leftOut: LeftOut, source: string): string[] {
  const lines: string[] = [];
  const types = Object.entries(leftOut).filter(([reason]) => isType(reason));
  const pictures = types.some(([type]) => isOtherPicture(type));
  const count = types.reduce((sum, [, each]) => sum + each, 0);
  if (count > FEW || pictures)
    lines.push(`${files(count)} of other types ${were(count)} left out of ${source}: ${someTypes(types, true)}`);
  const thumbnails = (leftOut[REASONS.thumbnails] ?? 0) + (leftOut[REASONS.system] ?? 0);
  if ((leftOut[REASONS.thumbnails] ?? 0) > 0 || thumbnails > FEW)
    lines.push(`${files(thumbnails)} of thumbnails and of the system ${were(thumbnails)} left out of ${source}`);
  for (const [reason, one, several] of [
    [REASONS.brokenLink, 'link that leads nowhere', 'links that lead nowhere'],
    [
      REASONS.repeatedLink,
      'link to a folder that is counted already, or holds this one,',
      'links to folders that are counted already, or hold this one,',
    ],
    [REASONS.zipLink, 'link', 'links'],
    [REASONS.special, 'pipe, socket or device', 'pipes, sockets and devices'],
    [REASONS.sameEntry, 'further entry of the same name', 'further entries of the same name'],
  ] as const) {
    const found = leftOut[reason] ?? 0;
    if (found > 0) lines.push(`${found} ${found === 1 ? one : several} ${were(found)} left out of ${source}`);
  }
  return lines;
}

const files = (count: number) => `${count} ${count === 1 ? 'file' : 'files'}`;
const were = (count: number) => (count === 1 ? 'was' : 'were');
