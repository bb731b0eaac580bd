/** Plain data, so that it crosses threads; `readPhoto` reads it. */
export interface Photo {
  /**
   * Its file; for a photo inside another file a name such as `pets.zip/cat/1.jpg`. What is not UTF-8 in it is shown as `\xe9`, and
   * `rawPath` opens it.
   */
  readonly path: string;
  /** Index into the data set's classes; 0 where it has `labels`. */
  readonly label: number;
  /** What is told of a photo that may have several labels, or none: their indices, in their order. Absent where it has one class. */
  readonly labels?: readonly number[];
  /** Where it lies when it is no file of its own. */
  readonly inside?: ZipEntry | CifarRecord;
  /** The bytes of a path that is not UTF-8, each as the character of its number (Latin-1). */
  readonly rawPath?: string;
}

export type Unlabelled = Omit<Photo, 'label' | 'labels'>;

/** Where a photo lies in a zip file. */
export interface ZipEntry {
  readonly kind: 'zip';
  readonly archive: string;
  /** Where the entry's header begins, in bytes. */
  readonly offset: number;
  readonly compressedBytes: number;
  readonly bytes: number;
  /** 0 for none, 8 for deflate. */
  readonly compressionMethod: number;
  readonly crc32: number;
}

/** One image of a CIFAR file. */
export interface CifarRecord {
  readonly kind: 'cifar';
  readonly file: string;
  /** Where its first pixel lies, in bytes. */
  readonly offset: number;
}

/** uint8 RGB, row by row, [height, width, 3]. */
export interface Picture {
  readonly pixels: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** What a photo consists of: an encoded file's bytes, or pixels. */
export type PhotoContent = Buffer | Picture;
