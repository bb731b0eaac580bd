import { stat } from 'node:fs/promises';
import { UserError } from '../../errors.js';
import { checkApart } from '../../files.js';
import type { Access } from './access.js';
import { EventHub } from './eventHub.js';
import { PhotoFolder } from './photoFolder.js';
import { StudioSettings } from './studioSettings.js';
import { Thumbnails } from './thumbnails.js';
import { Workshop } from './workshop.js';

export interface StudioOptions {
  /** The folder of photos, which is made where there is none, and that of runs. */
  readonly data: string;
  readonly runs: string;
  /** What is to train; default what was chosen last. */
  readonly model?: string | undefined;
  /** What trains where nothing was chosen yet. */
  readonly usualModel: string;
  /** Folder of the feature cache; without it features are kept in memory alone. */
  readonly cache?: string | undefined;
  /** Told of errors that are nobody's fault but the program's. */
  readonly report?: (thrown: unknown) => void;
}

/** What all requests share. */
export interface Studio {
  readonly access: Access;
  readonly photos: PhotoFolder;
  readonly thumbnails: Thumbnails;
  readonly events: EventHub;
  readonly workshop: Workshop;
  readonly report: (thrown: unknown) => void;
  close(): Promise<void>;
}

/**
 * Opens the photos.
 * @throws UserError as {@link PhotoFolder.open} does; `bad-arguments` where no runs can be kept in their folder.
 */
export async function makeStudio(options: StudioOptions, access: Access): Promise<Studio> {
  const { data, runs, model, usualModel, cache, report = () => undefined } = options;
  const events = new EventHub();
  const thumbnails: Thumbnails = new Thumbnails((path) => photos.fileOf(path));
  const photos = await PhotoFolder.open(data, {
    keepThumbnail: (path, stamp, webp) => {
      thumbnails.add(path, stamp, webp);
    },
  });
  try {
    await checkRuns(runs, data);
  } catch (thrown) {
    photos.close();
    throw thrown;
  }
  const settings = await StudioSettings.open(runs, usualModel, model);
  const workshop = new Workshop({ photos, runs, settings, events, ...(cache === undefined ? {} : { cache }) });
  await workshop.begin();
  return {
    ...{ access, photos, thumbnails, events, workshop, report },
    close: async () => {
      await workshop.close();
      photos.close();
      events.close();
    },
  };
}

/** @throws UserError `bad-arguments`. */
async function checkRuns(runs: string, data: string): Promise<void> {
  checkApart(runs, data, 'runs');
  const found = await stat(runs).catch(() => undefined);
  if (found && !found.isDirectory())
    throw new UserError(
      'bad-arguments',
      `${runs} is a file, and runs are kept in a folder; name one (‹runs›), which may be new`,
    );
}
