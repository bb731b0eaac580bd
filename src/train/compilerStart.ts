// The process that compiles. Its modules are many, and it may be allowed few files.
import { preload } from '../preload.js';

const compiler = new URL('./compilerProcess.js', import.meta.url);
await preload(compiler);
await import(compiler.href);
