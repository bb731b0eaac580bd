import { MachineError, type MachineLimit, UserError } from './errors.js';

/** An error as plain data, which another thread or process can be sent: cloning one would lose its class and its code. */
export interface CarriedError {
  readonly name: string;
  readonly message: string;
  readonly code?: string;
  /** Where it was thrown: in whoever sent it. */
  readonly stack?: string;
  readonly cause?: CarriedError;
}

/** Causes that are sent along: an error may be its own. */
const DEPTH = 8;

/** Whatever was thrown, as plain data. */
export function carried(thrown: unknown, depth = DEPTH): CarriedError {
  if (!(thrown instanceof Error)) return { name: 'Error', message: String(thrown) };
  const { name, stack, cause } = thrown;
  return {
    name,
    message: thrown instanceof UserError || thrown instanceof MachineError ? thrown.text : thrown.message,
    ...('code' in thrown && typeof thrown.code === 'string' ? { code: thrown.code } : {}),
    ...(stack === undefined ? {} : { stack }),
    ...(cause === undefined || depth === 0 ? {} : { cause: carried(cause, depth - 1) }),
  };
}

/** The error that was sent: of the same class where it is one of ours, with the code, the causes and the stack that it had. */
export function revived({ name, message, code, stack, cause }: CarriedError): Error {
  const options = cause === undefined ? undefined : { cause: revived(cause) };
  const error = newError(name, message, code, options);
  if (stack !== undefined) Object.defineProperty(error, 'stack', { value: stack, configurable: true, writable: true });
  return error;
}

const LIMITS: readonly string[] = [
  'out-of-files',
  'out-of-memory',
  'out-of-threads',
  'unsupported-machine',
] satisfies MachineLimit[];
const isLimit = (code: string): code is MachineLimit => LIMITS.includes(code);

function newError(name: string, message: string, code: string | undefined, options: ErrorOptions | undefined): Error {
  if (code !== undefined && name === 'UserError') return new UserError(code, message, options);
  if (code !== undefined && name === 'MachineError' && isLimit(code)) return new MachineError(code, message, options);
  const error = new Error(message, options);
  const known = { name, ...(code === undefined ? {} : { code }) };
  for (const [key, value] of Object.entries(known))
    Object.defineProperty(error, key, { value, configurable: true, writable: true, enumerable: key === 'code' });
  return error;
}
