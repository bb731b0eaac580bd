import { type MachineError, showSettings, type UserError } from '../../errors.js';

/** What went wrong, for the page: a setting that would mend it, and that the page has none for, is left out. */
export function lineOf({ text }: UserError | MachineError): string {
  return showSettings(text.replaceAll(/ \(‹\w+›\)/g, ''), (key) => key);
}
