import { extname } from 'node:path';

/** What sharp's published binaries read, by extension; JPEG under all its names (Chrome and Windows write `.jfif`). */
const EXTENSIONS = [
  ...['.jpg', '.jpeg', '.png', '.webp', '.avif', '.tif', '.tiff', '.gif'],
  ...['.jfif', '.jpe', '.jif', '.jfi', '.pjpeg', '.pjp', '.apng'],
];

/** The extensions that a message names. */
export const NAMED_EXTENSIONS = EXTENSIONS.slice(0, 8);

/** Pictures that are not read. Whoever has them among the photos wants to know that they are left out. */
const OTHER_PICTURES = new Set(
  [
    '.heic .heif .hif .bmp .dib .jp2 .j2k .jpx .jpf .jxl .jxr .svg .svgz .ico .cur .psd .xcf .tga .exr .hdr .pcx .pdf .eps .ai .webm',
    '.ppm .pgm .pbm .pnm .dcm .dicom .nii .dds .raw .dng .cr2 .cr3 .crw .nef .nrw .arw .srf .sr2 .orf .rw2 .raf .pef .srw .x3f .3fr .erf .kdc .mrw',
    '.mp4 .mov .avi .mkv .m4v .avifs .emf .wmf .fits .fit .ras .xbm .xpm .insp .jps .mpo',
  ].flatMap((line) => line.split(' ')),
);

/** Files beside photos that are none, so that nobody needs to look into them; a camera's raw files begin as TIFF does. */
const NEVER_PHOTOS = new Set(
  [
    '.txt .xml .json .jsonl .csv .tsv .md .html .htm .py .ipynb .js .ts .sh .bat .m .r .yaml .yml .toml .ini .cfg .conf .log .names .data',
    '.npy .npz .mat .pkl .pickle .h5 .hdf5 .parquet .arrow .feather .tfrecord .tfrecords .record .rec .idx .lst .mdb .db .sqlite .bin .onnx .pt .pth .pb',
    '.zip .tar .gz .tgz .bz2 .xz .7z .rar .zst .doc .docx .xls .xlsx .ppt .pptx .rtf .odt .ods .lnk .url .exe .dll',
    '.dng .cr2 .nef .nrw .arw .srf .sr2 .orf .rw2 .pef .srw .3fr .erf .kdc .raw .mp4 .mov .avi .mkv .m4v .pdf',
  ].flatMap((line) => line.split(' ')),
);

export const isPhotoName = (name: string): boolean => EXTENSIONS.includes(extname(name).toLowerCase());

/** Whether a file that is not called like a photo may be one: `IMG_1`, `1.jpg?w=640`, `x.jpg.1`. */
export const mayBePhoto = (name: string): boolean => !NEVER_PHOTOS.has(extname(name).toLowerCase());

/** Files of one kind are counted together: by extension, `no extension` where there is none that means anything. */
export function kindOf(name: string): string {
  const extension = extname(name).toLowerCase();
  return /^\.(?=.*[a-z])[a-z0-9_-]{1,12}$/.test(extension) ? extension : 'no extension';
}

export const isOtherPicture = (kind: string): boolean => OTHER_PICTURES.has(kind);

/** So many bytes tell what a file is. */
export const SIGNATURE_BYTES = 16;

/** Whether a file that begins so is of a kind that is read. */
export function beginsAsPhoto(bytes: Uint8Array): boolean {
  const text = Buffer.from(bytes.subarray(0, SIGNATURE_BYTES)).toString('latin1');
  return (
    text.startsWith('\xff\xd8\xff') ||
    text.startsWith('\x89PNG\r\n\x1a\n') ||
    /^GIF8[79]a/.test(text) ||
    /^RIFF[^]{4}WEBP/.test(text) ||
    /^\0[^]{3}ftypavi[fs]/.test(text) ||
    text.startsWith('II*\0') ||
    text.startsWith('MM\0*')
  );
}

/** Whether a file that begins so is a picture of any kind, be it read or not. */
export function beginsAsPicture(bytes: Uint8Array): boolean {
  const text = Buffer.from(bytes.subarray(0, SIGNATURE_BYTES)).toString('latin1');
  return (
    beginsAsPhoto(bytes) ||
    /^\0[^]{3}(ftyp|JXL |jP {2})/.test(text) ||
    // A bitmap's reserved fields are zero.
    /^BM[^]{4}\0{4}/.test(text) ||
    /^(\xff\x0a|8BPS\0|\xff\x4f\xff\x51|II\+\0|MM\0\+|II\xbc\x01|\0\0\x01\0[\x01-\xff]\0)/.test(text)
  );
}
