import { mkdirSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { join } from 'node:path';

/** The folders of one try, which nothing else uses. */
export interface Place {
  readonly root: string;
  /** Where the command runs, and writes. */
  readonly work: string;
  readonly home: string;
  readonly temporary: string;
  readonly cache: string;
}

export function makePlace(root: string): Place {
  rmSync(root, { recursive: true, force: true });
  const place = {
    root,
    work: join(root, 'work'),
    home: join(root, 'home'),
    temporary: join(root, 'temporary'),
    cache: join(root, 'cache'),
  };
  for (const folder of [place.work, place.home, place.temporary]) mkdirSync(folder, { recursive: true });
  return place;
}

/** Paths below `folder`, relative to it, folders too, sorted; none where it is not there. */
export function below(folder: string): string[] {
  try {
    return folder === '' ? [] : readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
  } catch {
    return [];
  }
}

/** What is written and then moved to its place, and what says that a process is at work: nothing of it outlives a command. */
const FLEETING = /\.partial\b|\.lock\b|\.clock$|\.tmp$|(^|\/)work-\d+$/;

/** What a command that has ended has left behind. */
export function leftoversIn({ work, cache, temporary }: Place): string[] {
  const fleeting = (folder: string) => below(folder).filter((path) => FLEETING.test(path));
  return [...fleeting(work), ...fleeting(cache), ...below(temporary).map((path) => join('$TMPDIR', path))];
}

const DAY_MS = 86_400_000;

/** Lets a day pass for what was being written: until then, another process could still be at it. */
export function makeOld({ work, cache }: Place): void {
  const yesterday = new Date(Date.now() - DAY_MS);
  for (const folder of [work, cache])
    for (const path of below(folder))
      if (path.endsWith('.partial')) utimesSync(join(folder, path), yesterday, yesterday);
}
