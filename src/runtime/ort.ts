import { env, type InferenceSession } from 'onnxruntime-node';

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
