import { env } from 'onnxruntime-node';

// Warnings, as of a home folder that it cannot write to, are not for the terminal.
env.logLevel = 'error';

export * from 'onnxruntime-node';
