import { stat } from 'node:fs/promises';
import { UserError } from '../../errors.js';
import { fileReason, makeFolder } from '../../files.js';

/** Makes the folder of photos where there is none. @throws UserError `unknown-data` where a file is, `write-failed`. */
export async function makeReady(folder: string): Promise<void> {
  const found = await stat(folder).catch(() => undefined);
  if (found && !found.isDirectory())
    throw new UserError(
      'unknown-data',
      `${folder} is a file, and the studio keeps photos in a folder for each class; name a folder (‹data›), which may be new: a zip file can be dropped into the page then`,
    );
  try {
    if (!found) await makeFolder(folder);
  } catch (cause) {
    throw new UserError(
      'write-failed',
      `cannot make the folder ${folder}: ${fileReason(cause)}; name another (‹data›)`,
      {
        cause,
      },
    );
  }
}
