// The worker of an engine. Its modules are many, and this process may be allowed few files.
import { preload } from '../preload.js';

const worker = new URL('./worker.js', import.meta.url);
await preload(worker);
await import(worker.href);
