import { UserError } from '../errors.js';
import { visible } from '../text.js';
import { saysUnlabelled } from './layout/classFolders.js';
import { roleOf, rolesOf } from './splitNames.js';
import { systemFolder } from './systemFiles.js';

const MOST_CHARACTERS = 100;
/** File systems take names of 255 bytes. */
const MOST_NAME_BYTES = 240;

/**
 * The name of a folder for a new class beside `others`, in Unicode's composed form: what would not be read as a class, leads elsewhere or is
 * hardly told apart from another is refused. A class that is there already under exactly this name is not.
 * @throws UserError `bad-class-name`.
 */
export function classFolderName(name: string, others: readonly string[]): string {
  const composed = name.normalize('NFC');
  const wrong = faultOf(composed, others);
  if (wrong !== undefined) {
    const characters = Array.from(name);
    const shown = characters.length > MOST_CHARACTERS ? `${characters.slice(0, MOST_CHARACTERS).join('')}…` : name;
    throw new UserError('bad-class-name', `a class cannot be called "${visible(shown)}": ${wrong}`);
  }
  return composed;
}

function faultOf(name: string, others: readonly string[]): string | undefined {
  if (name === '') return 'a name is missing; give one';
  if (Array.from(name).length > MOST_CHARACTERS) return `it has more than ${MOST_CHARACTERS} characters; shorten it`;
  if (Buffer.byteLength(name) > MOST_NAME_BYTES) return 'it is too long for the name of a folder; shorten it';
  if (/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/u.test(name)) return 'it has a line break or another control character; leave it out';
  if (/[/\\]/.test(name)) return 'it has a slash, which parts folders; leave it out';
  if (/^[a-z]:/i.test(name)) return 'it begins as a drive of Windows does; leave out the colon';
  if (process.platform === 'win32' && /[<>:"|?*]/.test(name))
    return 'Windows has no such folders; leave out < > : " | ? *';
  if (/^[.\s]|[.\s]$/u.test(name)) return 'it begins or ends with a dot or a space; leave that out';
  if (systemFolder(name) !== undefined)
    return 'systems call folders of their own so, which are left out; choose another';
  if (roleOf(name) !== undefined || rolesOf([...others, name]).has(name))
    return 'it would be taken for a part of the photos, as those to train or to validate with; choose another';
  if (saysUnlabelled(name))
    return 'it says that its photos have no class, so that they would be left out; choose another';
  const like = others.find((other) => other !== name && folded(other) === folded(name));
  if (like !== undefined) return `it is told apart from "${visible(like)}" by case or form alone; choose another`;
  return undefined;
}

const folded = (name: string) => name.normalize('NFKC').toLowerCase();
