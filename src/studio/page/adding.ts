import { client } from './client.js';
import { askText } from './dialogs.js';
import { filesOfDrop, sortFiles, type FoundFile } from './droppedFiles.js';
import { chosenClass } from './routes.js';
import { classNames } from './state.js';
import { texts } from './texts.js';
import { attempt, complain, say } from './toasts.js';
import { upload } from './uploadQueue.js';

/** The name of a zip file, or of a project of Teachable Machine, which is one, that nothing else tells a class for. */
const nameOfZip = (name: string) => /^(.+)\.(?:zip|tm)$/i.exec(name)?.[1];

/** Uploads files into the classes that their folders name; those without go to `chosen`, or where somebody says. */
export function addFiles(found: readonly FoundFile[], chosen: string | undefined, flatIsChosen: boolean): void {
  if (found.length === 0) {
    complain(texts.uploads.nothing);
    return;
  }
  void attempt(() => add(found, chosen, flatIsChosen));
}

async function add(found: readonly FoundFile[], chosen: string | undefined, flatIsChosen: boolean): Promise<void> {
  const sorted = sortFiles(found, chosen, flatIsChosen).map((file) => ({
    ...file,
    class: file.class ?? nameOfZip(file.name),
  }));
  const isLost = sorted.some((file) => file.class === undefined);
  const rest = isLost ? await askText({ ...texts.uploads.whichClass, value: '' }) : undefined;
  const files = sorted.flatMap((file) => {
    const name = file.class ?? rest;
    return name === undefined ? [] : [{ ...file, class: name }];
  });
  const classes = [...new Set(files.map((file) => file.class))];
  if (files.length === 0) return;
  for (const name of classes) if (!classNames.value.includes(name)) await client.addClass(name);
  upload(files);
  say(texts.uploads.begun(files.length, classes));
}

/** Uploads what was dropped on the page. */
export function addDrop(transfer: DataTransfer): void {
  const chosen = chosenClass.value;
  // Begins before the first wait, as long as the browser still knows what was dropped.
  const walking = filesOfDrop(transfer);
  void attempt(async () => addFiles(await walking, chosen, false));
}
