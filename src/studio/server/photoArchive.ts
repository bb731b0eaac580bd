import { basename } from 'node:path';
import { messageOf, UserError } from '../../errors.js';
import { openDataset, type Photo, photosInZip, readPhoto, type Unlabelled } from '../../index.js';
import type { ArchiveAdded } from '../api.js';
import type { AtMost } from './atMost.js';
import type { IncomingFiles } from './incomingFiles.js';
import type { ClassPlace, PhotoAdder, PhotoUpload } from './photoAdder.js';

const MOST_BYTES = 4 * 2 ** 30;
/** Photos that are unpacked side by side. */
const AT_ONCE = 4;

interface ArchiveParts {
  readonly incoming: IncomingFiles;
  readonly adder: PhotoAdder;
  /** One archive is unpacked after another. */
  readonly unpacking: AtMost;
  /** The class for photos of a folder that is called so, be it a new one. @throws UserError for what can be no class. */
  readonly classFor: (name: string, others: readonly string[]) => string;
  readonly placeFor: (name: string) => ClassPlace;
}

/** A photo of an archive with the class that it belongs to. */
interface ArchivedPhoto {
  readonly photo: Unlabelled;
  readonly class: string;
}

interface Contents {
  readonly photos: readonly ArchivedPhoto[];
  readonly refused: readonly { readonly name: string; readonly reason: string }[];
  readonly warnings: readonly string[];
}

/** Adds the photos of an archive that arrives: to the classes of its folders, or all to `to`. What cannot be read is told. */
export async function addArchive(
  { name, body, bytes, signal }: PhotoUpload,
  to: string | undefined,
  parts: ArchiveParts,
): Promise<ArchiveAdded> {
  // It lies on the disk beside the photos that come out of it.
  const file = { name, body, bytes, most: MOST_BYTES, what: 'zip file', copies: 2 };
  return parts.incoming.receive(file, (path) =>
    parts.unpacking.run(async () => {
      const inText = (text: string) => text.replaceAll(path, name);
      try {
        return await unpack({ path, to, inText, signal }, parts);
      } catch (thrown) {
        throw thrown instanceof UserError ? new UserError(thrown.code, inText(thrown.text), { cause: thrown }) : thrown;
      }
    }, signal),
  );
}

interface Unpacking {
  /** Where the archive lies. */
  readonly path: string;
  readonly to: string | undefined;
  /** Calls the archive as its sender does. */
  readonly inText: (text: string) => string;
  readonly signal: AbortSignal | undefined;
}

async function unpack({ path, to, inText, signal }: Unpacking, parts: ArchiveParts): Promise<ArchiveAdded> {
  const { photos, refused, warnings } = await contentsOf(path, to, parts);
  const adding = new ArchiveAdding(parts, inText);
  await adding.add(photos, signal);
  return {
    added: adding.added,
    duplicates: adding.duplicates,
    refused: [...refused, ...adding.refused].map((each) => ({ name: inText(each.name), reason: inText(each.reason) })),
    warnings: warnings.map(inText),
  };
}

/** What an archive holds, by its class folders where it has some. */
async function contentsOf(path: string, to: string | undefined, { classFor }: ArchiveParts): Promise<Contents> {
  const dataset = await openDataset(path, { use: 'measuring', misnamed: 'left out' }).catch((thrown: unknown) => {
    if (!(thrown instanceof UserError) || thrown.code === 'bad-archive' || to === undefined) throw thrown;
    return undefined;
  });
  if (!dataset) {
    const { photos, warnings } = await photosInZip(path);
    return { photos: photos.map((photo) => ({ photo, class: to ?? '' })), refused: [], warnings };
  }
  const refused: { name: string; reason: string }[] = [];
  const names = new Map<number, string>();
  for (const [label, own] of dataset.classes.entries())
    try {
      names.set(label, classFor(own, [...names.values()]));
    } catch (thrown) {
      if (!(thrown instanceof UserError) || thrown.code !== 'bad-class-name') throw thrown;
      refused.push({ name: own, reason: thrown.message });
    }
  const all: Photo[] = [...dataset.train, ...dataset.val, ...(dataset.test ?? [])];
  const photos = all.flatMap((photo) => {
    const name = names.get(photo.label);
    return name === undefined ? [] : [{ photo, class: name }];
  });
  return { photos, refused, warnings: dataset.contents?.warnings ?? [] };
}

/** Unpacks photos side by side, and counts what becomes of them. */
class ArchiveAdding {
  added = 0;
  duplicates = 0;
  readonly refused: { readonly name: string; readonly reason: string }[] = [];

  constructor(
    private readonly parts: ArchiveParts,
    private readonly inText: (text: string) => string,
  ) {}

  async add(photos: readonly ArchivedPhoto[], signal: AbortSignal | undefined): Promise<void> {
    let at = 0;
    const work = async () => {
      for (let photo = photos[at++]; photo; photo = photos[at++]) {
        signal?.throwIfAborted();
        try {
          await this.addOne(photo);
        } catch (thrown) {
          // The others end, too.
          at = photos.length;
          throw thrown;
        }
      }
    };
    const workers = await Promise.allSettled(Array.from({ length: AT_ONCE }, work));
    for (const worker of workers) if (worker.status === 'rejected') throw worker.reason;
  }

  private async addOne({ photo, class: name }: ArchivedPhoto): Promise<void> {
    const { adder, placeFor } = this.parts;
    try {
      const content = await readPhoto(photo);
      if ('pixels' in content) throw new Error('a zip file holds files');
      const { outcome } = await adder.addBytes(() => placeFor(name), basename(photo.path), content);
      if (outcome === 'added') this.added++;
      else this.duplicates++;
    } catch (thrown) {
      // What concerns one photo keeps no other away.
      if (!(thrown instanceof UserError) || !['unreadable-photo', 'too-large'].includes(thrown.code)) throw thrown;
      this.refused.push({ name: this.inText(photo.path), reason: messageOf(thrown) });
    }
  }
}
