import { availableParallelism, cpus, freemem, release, totalmem, type as osType } from 'node:os';
import {
  DEFAULT_MODEL,
  findMeter,
  hubSettings,
  packageVersion,
  probeProviders,
  runtimeProblem,
  runtimeVersion,
  sharpProblem,
  sharpVersion,
} from '../internal.js';
import { shared } from './sharedFlags.js';
import type { Verb } from './verb.js';
import { showBytes, Terminal } from './terminal.js';

interface Arguments {
  json: boolean;
}

export const verb: Verb<Arguments> = {
  builder: (yargs) =>
    yargs.option('json', shared.json).example('$0 doctor', 'what to look at first when something does not work'),
  handler: async (args) => {
    const terminal = new Terminal(args);
    const versions = {
      'ort-tl': packageVersion,
      node: process.versions.node,
      'onnxruntime-node': runtimeVersion,
      sharp: sharpVersion,
    };
    const machine = {
      system: `${osType()} ${release()}, ${process.arch}`,
      processor: cpus()[0]?.model.trim() ?? 'unknown',
      threads: availableParallelism(),
      memoryBytes: totalmem(),
      freeMemoryBytes: freemem(),
    };
    const lacking = runtimeProblem();
    const problems = [lacking, sharpProblem()].flatMap((each) => each ?? []);
    // None of them can be tried.
    const providers = lacking ? [] : await probeProviders();
    const meter = await findMeter({ energy: 'auto' });
    const { endpoint, hubCache, ownCache, isOffline } = hubSettings();
    const networks = { defaultModel: DEFAULT_MODEL, endpoint, hubCache, ownCache, isOffline };
    terminal.print(
      Object.entries(versions)
        .map(([name, version]) => `${name} ${version}`)
        .join(', '),
    );
    terminal.print(
      `${machine.system}; ${machine.processor}, ${machine.threads} threads; ${showBytes(machine.memoryBytes)} of memory, ${showBytes(machine.freeMemoryBytes)} free`,
    );
    terminal.print();
    for (const { name, available, needs, reason } of providers) {
      const said = reason === undefined ? '' : ` (ONNX Runtime: ${reason})`;
      terminal.print(`provider ${name.padEnd(7)} ${available ? 'runs' : `does not run: it needs ${needs}${said}`}`);
    }
    terminal.print();
    terminal.print(`energy   ${meter.kind === 'meter' ? meter.describe : `not measured: ${meter.reason}`}`);
    terminal.print(
      `networks ${DEFAULT_MODEL} by default; those from ${networks.endpoint} are kept in ${networks.hubCache}${networks.isOffline ? '; HF_HUB_OFFLINE: none is loaded' : ''}`,
    );
    for (const { text } of problems) terminal.warn(`ort-tl: ${text}`);
    terminal.json({
      versions,
      machine,
      providers,
      energy: meter,
      networks,
      problems: problems.map(({ code, message }) => ({ code, message })),
    });
    if (problems.length > 0) process.exitCode = 1;
  },
};
