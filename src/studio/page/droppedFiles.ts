/** A file that was chosen or dropped, with the folders that it lies in, the outermost first. It is opened when its turn comes. */
export interface FoundFile {
  readonly folders: readonly string[];
  readonly name: string;
  readonly open: () => Promise<File>;
}

/** A file with the class that it is for; undefined where nothing tells one. */
export interface SortedFile {
  readonly class: string | undefined;
  readonly name: string;
  readonly open: () => Promise<File>;
}

/** What systems leave in folders. */
const LEFT_OUT = /^(?:\..*|Thumbs\.db|desktop\.ini|__MACOSX)$/i;

/** Folders of data sets that say what photos are for, as the command line knows them: the classes lie in them. */
const SPLIT = /^(?:train(?:ing)?|val(?:id(?:at(?:e|ion))?)?|dev|test(?:ing)?)$/i;

function entriesOf(reader: FileSystemDirectoryReader): Promise<FileSystemEntry[]> {
  return new Promise((resolve, reject) => reader.readEntries(resolve, reject));
}

const isFolder = (entry: FileSystemEntry): entry is FileSystemDirectoryEntry => entry.isDirectory;
const isFile = (entry: FileSystemEntry): entry is FileSystemFileEntry => entry.isFile;

async function walk(entry: FileSystemEntry, folders: readonly string[], found: FoundFile[]): Promise<void> {
  if (LEFT_OUT.test(entry.name)) return;
  if (isFile(entry)) {
    const open = () => new Promise<File>((resolve, reject) => entry.file(resolve, reject));
    found.push({ folders, name: entry.name, open });
  } else if (isFolder(entry)) {
    const reader = entry.createReader();
    // Chromium gives a hundred at a time.
    for (let some = await entriesOf(reader); some.length > 0; some = await entriesOf(reader))
      for (const each of some) await walk(each, [...folders, entry.name], found);
  }
}

/** All files of what was dropped, at any depth. What was dropped is read before the first wait: a browser forgets it then. */
export async function filesOfDrop(transfer: DataTransfer): Promise<FoundFile[]> {
  const entries = [...transfer.items].map((item) => (item.kind === 'file' ? item.webkitGetAsEntry() : null));
  const files = [...transfer.files];
  const found: FoundFile[] = [];
  if (entries.every((entry) => entry === null)) return files.map(plain);
  for (const entry of entries) if (entry) await walk(entry, [], found);
  return found;
}

const plain = (file: File): FoundFile => ({ folders: [], name: file.name, open: () => Promise.resolve(file) });

/** The files of a field: of a folder with where they lie in it. */
export function filesOfInput(list: FileList): FoundFile[] {
  return [...list]
    .map((file) => ({ ...plain(file), folders: file.webkitRelativePath.split('/').slice(0, -1) }))
    .filter(({ name, folders }) => ![name, ...folders].some((part) => LEFT_OUT.test(part)));
}

/**
 * Which class each file is for. A class is a folder: the outermost one, or the one in it where a single folder holds folders (`photos/cat`), or
 * the one in a split (`train/cat`). Files beside folders, or without any, are for `chosen`; so are those of a single folder without others in
 * it where `flatIsChosen`, since its name need not be that of a class.
 */
export function sortFiles(
  found: readonly FoundFile[],
  chosen: string | undefined,
  flatIsChosen: boolean,
): SortedFile[] {
  const roots = new Set(found.map(({ folders }) => folders[0]));
  const isDeep = found.some(({ folders }) => folders.length > 1);
  const hasOneRoot = roots.size === 1;
  return found.map(({ folders, name, open }) => {
    const below = hasOneRoot && isDeep ? folders.slice(1) : folders;
    const inner = below.filter((folder, depth) => depth > 1 || !SPLIT.test(folder));
    const isFlat = hasOneRoot && !isDeep && flatIsChosen;
    return { class: isFlat ? (chosen ?? inner[0]) : (inner[0] ?? chosen), name, open };
  });
}
