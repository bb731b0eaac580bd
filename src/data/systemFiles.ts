/** What a left-out file or folder is, that systems and programs put beside photos. */
export type SystemKind = 'thumbnails' | 'system files' | 'hidden files';

/** Folders of a Synology or QNAP NAS, and of Linux desktops. */
const THUMBNAIL_FOLDERS = new Set(['@eadir', '@__thumb', '.@__thumb', '.thumbnails', '.thumbs', '.thumb']);
const SYSTEM_FOLDERS = new Set([
  ...['$recycle.bin', 'recycler', 'recycled', '#recycle', '@recycle', '.trash', '.trashes', 'network trash folder'],
  ...['#snapshot', '@recently-snapshot', '@tmp', 'temporary items', 'system volume information', 'lost+found'],
  ...['__macosx', '.ipynb_checkpoints', '__pycache__'],
]);
const SYSTEM_FILES = new Set([
  ...['thumbs.db', 'ehthumbs.db', 'ehthumbs_vista.db', 'desktop.ini', '.ds_store', '.directory', 'icon\r'],
  ...['picasa.ini', '.picasa.ini', 'zbthumbnail.info', 'synoindex_media_info'],
]);

/** Whether a folder of that name holds no photos of the user's, and what it holds instead. */
export function systemFolder(name: string): SystemKind | undefined {
  const lower = name.toLowerCase();
  if (THUMBNAIL_FOLDERS.has(lower)) return 'thumbnails';
  if (SYSTEM_FOLDERS.has(lower)) return 'system files';
  return name.startsWith('.') ? 'hidden files' : undefined;
}

/** Whether a file of that name is none of the user's; `._x.jpg` is what macOS writes beside `x.jpg` on other systems' disks. */
export function systemFile(name: string): SystemKind | undefined {
  const lower = name.toLowerCase();
  if (/^syno(?:photo|file)_thumb_/.test(lower)) return 'thumbnails';
  if (SYSTEM_FILES.has(lower) || name.startsWith('._')) return 'system files';
  return name.startsWith('.') ? 'hidden files' : undefined;
}
