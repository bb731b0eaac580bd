import type { ChildProcess } from 'node:child_process';
import { LIFELINE } from '../../lifeline.js';
import { userEnvironment } from '../../runtime/userEnvironment.js';
import type { MeasureOptions } from './measurement.js';

/** A pipe that nothing is written to, among the descriptors of a command that ends with us. Its end says that this process has ended. */
export const lifelineOf = ({ endsWithUs }: MeasureOptions): 'pipe'[] => (endsWithUs ? ['pipe'] : []);

/** Whoever is killed at the other end of the lifeline breaks it, which is told by its exit. */
export function letLifelineBreak({ stdio }: ChildProcess, descriptor: number): void {
  stdio[descriptor]?.on('error', () => undefined);
}

/** The environment of a command: a user's as he has set it; one of ours, which ends with us, has this process's and is told which descriptor its lifeline is. */
export function envOf({ env, endsWithUs }: MeasureOptions, descriptor: number): NodeJS.ProcessEnv {
  return endsWithUs ? { ...(env ?? process.env), [LIFELINE]: String(descriptor) } : (env ?? userEnvironment());
}
