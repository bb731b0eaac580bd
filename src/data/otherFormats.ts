import { isPhotoName } from './photoTypes.js';

/** CIFAR as pickles, and the archive that has it in the form that is read. */
const pickledCifar = (instead: string) =>
  `CIFAR's python version (pickles), which is not read; take its binary version (${instead})`;

/** The files of CIFAR-100's python version, without extension. */
const CIFAR_100 = ['meta', 'train', 'test'];

/** What data sets come as that `ort-tl` does not read, by the names of their files, and what to do. */
const FORMATS: readonly (readonly [RegExp, string])[] = [
  [/^((data|test)_batch_?\d*|batches\.meta)$/, pickledCifar('cifar-10-binary.tar.gz')],
  [
    /^((data|test)_batch_?\d*|batches\.meta)\.mat$/,
    "CIFAR's Matlab version, which is not read; take its binary version",
  ],
  [
    /^(data_batch_\d+|test_batch)\.bin$/,
    "one of CIFAR's binary files, which are read when their folder is named itself (‹data›)",
  ],
  [/idx[1-4][-.]ubyte(\.gz)?$/, "MNIST's format (idx), which is not read; write its images as PNG files"],
  [
    /\.(tfrecords?|record)(-\d+-of-\d+)?$|tfrecord-\d+-of-\d+$/,
    'TFRecord files, which are not read; write their images as files',
  ],
  [
    /\.(tar|t?gz|tar\.\w+|tgz|bz2|xz|7z|rar|zst)$/,
    'an archive that is not read in place; unpack it first, or make a zip file of it',
  ],
  [/\.(zip|tm)$/, 'a zip file, which is read in place when it is named itself (‹data›)'],
  [/\.(npz|npy)$/, "NumPy's arrays, which are not read; write their images as files"],
  [/\.(parquet|arrow|feather)$/, 'a table (Parquet, Arrow), which is not read; write its images as files'],
  [
    /\.(h5|hdf5|mat|pkl|pickle|mdb|lmdb|rec|beton|pt|pth)$/,
    'arrays or records in one file, which are not read; write the images as files',
  ],
  [
    /\.(coco\.json|names)$|^data\.ya?ml$/,
    'a description of a set for detection, which a classifier of one class a photo has no use for (‹task› labels reads COCO and YOLO)',
  ],
  [/\.(mp4|mov|avi|mkv|m4v|webm)$/, 'a video, which is not read; take pictures out of it first'],
];

/** What a file is that holds photos in a way that is not read, or one photo; undefined for all others. */
export function otherFormatOf(name: string): string | undefined {
  const lower = name.toLowerCase();
  const known = FORMATS.find(([pattern]) => pattern.test(lower));
  if (known) return known[1];
  return isPhotoName(lower) ? 'one photo' : undefined;
}

/** What a file is by its first bytes; undefined for all but Python's pickles. */
export function otherFormatBy(begin: Uint8Array, name: string): string | undefined {
  const [mark, protocol = 0] = begin;
  if (mark !== 0x80 || protocol < 2 || protocol > 5) return undefined;
  return CIFAR_100.includes(name)
    ? pickledCifar('cifar-100-binary.tar.gz')
    : 'a Python pickle, which is not read; write its images as files';
}

/** Does what `otherFormatOf` does for a folder's files. */
export function otherFormatIn(names: readonly string[]): string | undefined {
  const all = new Set(names);
  if (CIFAR_100.every((name) => all.has(name))) return `it holds ${pickledCifar('cifar-100-binary.tar.gz')}`;
  for (const name of names) {
    const format = otherFormatOf(name);
    if (format !== undefined) return `it holds ${name}, ${format}`;
  }
  return undefined;
}
