// node test/kill/run.js [--times 30] [--seed 0] [--only train-F1C1,bench] [--how int,kill] …; see main.ts.
import { fileURLToPath } from 'node:url';
import { runnerImport } from 'vite';

await runnerImport(fileURLToPath(new URL('./main.ts', import.meta.url)), { configFile: false, logLevel: 'error' });
