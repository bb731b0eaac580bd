#!/usr/bin/env -S MALLOC_MMAP_THRESHOLD_=262144 node --max-semi-space-size=4
import { POOL_VARIABLE, wantedPoolSize } from '../threadPool.js';

// Node.js starts libuv's threads when it loads a first ES module, and their number cannot be changed after that. So this file becomes a CommonJS
// one, `dist/bin/start.cjs`, which loads the command's module once it is set.
process.env[POOL_VARIABLE] ??= String(wantedPoolSize());
void import('./main.js');
