// What is measured in a process of its own.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { z } from 'zod';

/** Ends the measurement under way. */
export const stopping = new AbortController();

/**
 * Runs `command` and reads the last line that it prints.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {Readonly<Record<string, string>>} env
 */
export async function json(command, args, env = {}) {
  try {
    const { stdout } = await promisify(execFile)(command, args, {
      maxBuffer: 1e9,
      signal: stopping.signal,
      env: { ...process.env, ...env },
    });
    return z.record(z.string(), z.unknown()).parse(JSON.parse(stdout.trim().split('\n').at(-1) ?? ''));
  } catch (thrown) {
    // A wheel's own crash, or the system's when memory runs out, leaves nothing but the signal.
    const { signal, stderr = '', message = String(thrown) } = failureSchema.catch({}).parse(thrown);
    throw new Error(signal ? `ended by ${signal}` : lastLine(stderr) || lastLine(message), { cause: thrown });
  }
}

/** What `execFile` throws. */
const failureSchema = z.object({
  signal: z.string().nullish(),
  stderr: z.string().optional(),
  message: z.string().optional(),
});

/** @param {string} text */
const lastLine = (text) => (text.trim().split('\n').at(-1) ?? '').slice(0, 300);
