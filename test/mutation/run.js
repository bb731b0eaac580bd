// node test/mutation/run.js --help
import { fileURLToPath } from 'node:url';
import { runnerImport } from 'vite';

// The process that holds the tests is the same script, with another module.
const module = process.argv[2] === 'tests' ? './tests.ts' : './main.ts';
await runnerImport(fileURLToPath(new URL(module, import.meta.url)), { configFile: false, logLevel: 'error' });
