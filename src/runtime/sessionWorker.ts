import { parentPort } from 'node:worker_threads';
import { answerCalls, threadLine } from '../channel.js';
import { sessionOperations } from './sessionOperations.js';

if (parentPort) answerCalls(threadLine(parentPort), sessionOperations());
