import { availableParallelism, cpus, release, totalmem, type as osType } from 'node:os';
import { sharpVersion } from '../data/sharp.js';
import { runtimeVersion } from '../runtime/ort.js';
import { packageVersion } from '../version.js';

/** What measurements depend on besides what is measured. */
export interface Machine {
  readonly system: string;
  readonly processor: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly versions: Readonly<Record<'ort-tl' | 'node' | 'onnxruntime-node' | 'sharp', string>>;
}

/** What is equal for machines whose times may be set beside each other; their kernels' patches and a few megabytes may differ. */
export function kindOfMachine({ system, processor, cores, memoryBytes }: Machine, energy: string | undefined): string {
  const [name = system] = system.split(' ');
  const architecture = system.split(', ').at(-1) ?? '';
  const meter = energy === undefined ? 'no energy meter' : `energy by ${energy}`;
  return `${processor}, ${cores} cores, ${Math.round(memoryBytes / 1e9)} GB, ${name} ${architecture}, ${meter}`;
}

export function describeMachine(): Machine {
  return {
    system: `${osType()} ${release()}, ${process.arch}`,
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    versions: {
      'ort-tl': packageVersion,
      node: process.versions.node,
      'onnxruntime-node': runtimeVersion,
      sharp: sharpVersion,
    },
  };
}
