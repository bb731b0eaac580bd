import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, resolve } from 'node:path';
import { UserError } from '../../errors.js';
import type { MeasureOptions } from './measurement.js';

/** Refuses a command whose program there is not. @throws UserError `command-not-found`. */
export function refuseNoProgram(
  [program = '']: readonly string[],
  { cwd = '.', env = process.env }: MeasureOptions,
): void {
  const isPath = program.includes('/') || program.includes('\\');
  const folders = isPath ? [cwd] : (env['PATH'] ?? env['Path'] ?? '').split(delimiter);
  const endings = process.platform === 'win32' ? ['', ...(env['PATHEXT'] ?? '.EXE').split(';')] : [''];
  const isProgram = (path: string) => {
    try {
      accessSync(path, constants.X_OK);
      return statSync(path).isFile();
    } catch {
      return false;
    }
  };
  const found = folders.some((folder) => endings.some((ending) => isProgram(resolve(cwd, folder, program + ending))));
  if (found && program !== '') return;
  throw new UserError(
    'command-not-found',
    isPath
      ? `${program} is no program that can be run`
      : `there is no program \`${program}\` on the path; give it with its folder`,
  );
}
