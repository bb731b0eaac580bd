import { telemetryOff } from './telemetry.js';
import { messageOf } from '../errors.js';
import { env, InferenceSession } from 'onnxruntime-node';

// Warnings, as of a home folder that it cannot write to, are not for the terminal.
env.logLevel = 'error';

export * from 'onnxruntime-node';

/**
 * Of every session. Without `force_spinning_stop` a session's threads go on looking for work for up to 0.1 s after a run, and
 * take the cores from the next session's: on two cores its runs take twice as long.
 */
export const SESSION_OPTIONS = {
  logSeverityLevel: 4,
  extra: { session: { force_spinning_stop: '1' } },
} as const satisfies InferenceSession.SessionOptions;

/** Opens a session on a file or on the bytes of one, when ONNX Runtime's telemetry is off. @throws what ONNX Runtime throws, and as {@link telemetryOff} does. */
export async function openSession(
  model: string | Uint8Array,
  options: InferenceSession.SessionOptions,
): Promise<InferenceSession> {
  await telemetryOff();
  return typeof model === 'string' ? InferenceSession.create(model, options) : InferenceSession.create(model, options);
}

/** What ONNX Runtime says against a model, which it may do in several lines, in one. */
export function reasonOf(thrown: unknown): string {
  return messageOf(thrown)
    .trim()
    .replaceAll(/\s*\n\s*/g, ' ');
}
