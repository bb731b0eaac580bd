// Runs a TypeScript module of this folder in a process of its own: node load.js NAME.ts …; the arguments that follow are the module's.
import { fileURLToPath } from 'node:url';
import { runnerImport } from 'vite';

const [name = ''] = process.argv.slice(2);
await runnerImport(fileURLToPath(new URL(name, import.meta.url)), { configFile: false, logLevel: 'error' });
