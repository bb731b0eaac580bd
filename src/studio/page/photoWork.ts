import { client } from './client.js';
import { askClass, askText, askWhether } from './dialogs.js';
import { goTo } from './routes.js';
import { classNames } from './state.js';
import { texts } from './texts.js';
import { attempt, say } from './toasts.js';

const words = texts.work;

/** Gives back what lies in the bin, each entry by its name. */
async function restore(bins: readonly string[]): Promise<void> {
  let moved = 0;
  for (const bin of bins) moved += (await attempt(() => client.restore(bin)))?.moved ?? 0;
  if (moved > 0) say(words.restored(moved));
}

/** Puts photos into the bin, and offers to give them back. Whether that was done. */
export async function binPhotos(paths: readonly string[]): Promise<boolean> {
  if (paths.length === 0) return false;
  const done = await attempt(() => client.bin(paths));
  if (!done) return false;
  say(words.binned(done.photos), { label: words.undo, run: () => void restore([done.bin]) });
  return true;
}

/** Moves photos, all from one class, into another, and offers to move them back. Whether that was done. */
export async function movePhotos(paths: readonly string[], to: string, from?: string): Promise<boolean> {
  if (paths.length === 0) return false;
  const done = await attempt(() => client.move(paths, to));
  if (!done) return false;
  const now = done.paths;
  const back = from !== undefined && now && { label: words.undo, run: () => void movePhotos(now, from) };
  say(words.moved(done.moved, to), back || undefined);
  return true;
}

/** Asks which class they move into; it may be a new one. */
export async function moveSomewhere(paths: readonly string[], from?: string): Promise<boolean> {
  if (paths.length === 0) return false;
  const title = words.moveTitle(paths.length);
  const to = await askClass({ title, canBeNew: true, ...(from !== undefined && { except: from }) });
  if (to === undefined || !(await makeClass(to))) return false;
  return movePhotos(paths, to, from);
}

/** Makes a class unless there is one of this name. Whether there is one now. */
async function makeClass(name: string): Promise<boolean> {
  return classNames.value.includes(name) || (await attempt(() => client.addClass(name))) !== undefined;
}

/** Asks for the name of a class, and makes it. The class, or nothing. */
export async function addClass(): Promise<string | undefined> {
  const name = await askText({ ...words.newClass, value: '' });
  if (name === undefined || !(await makeClass(name))) return undefined;
  goTo('photos', name);
  return name;
}

export async function renameClass(from: string): Promise<void> {
  const to = await askText({ ...words.rename(from), value: from });
  if (to === undefined || to === from) return;
  if (classNames.value.includes(to)) {
    await mergeInto(from, to);
    return;
  }
  const done = await attempt(() => client.renameClass(from, to, false));
  if (!done) return;
  goTo('photos', to);
  const undo = () =>
    void attempt(() => client.renameClass(to, from, false)).then((back) => back && goTo('photos', from));
  say(words.renamed(from, to), { label: words.undo, run: undo });
}

export async function mergeClass(from: string): Promise<void> {
  const to = await askClass({ title: words.mergeTitle(from), except: from, canBeNew: false });
  if (to !== undefined) await mergeInto(from, to);
}

async function mergeInto(from: string, to: string): Promise<void> {
  if (!(await askWhether(words.merge(from, to)))) return;
  const done = await attempt(() => client.renameClass(from, to, true));
  if (!done) return;
  goTo('photos', to);
  const now = done.paths;
  const split = async () => {
    if (now && (await makeClass(from))) await movePhotos(now, from);
  };
  say(words.moved(done.moved, to), now && { label: words.undo, run: () => void split() });
}

export async function binClass(name: string, photos: number): Promise<void> {
  if (photos > 0 && !(await askWhether(words.deleteClass(name, photos)))) return;
  const done = await attempt(() => client.binClass(name));
  if (done) say(words.classBinned(name, done.photos), { label: words.undo, run: () => void restore([done.bin]) });
}

/** Gives back one entry of the bin. */
export const restoreBin = (name: string): Promise<void> => restore([name]);

/** Removes for good what was deleted, photos and runs. */
export async function emptyBin(size: string): Promise<void> {
  if (!(await askWhether(words.emptyQuestion(size)))) return;
  if (await attempt(() => client.emptyBin())) say(words.binEmptied);
}
