import { spawn } from 'node:child_process';
import { entryPoint } from '../entryPoint.js';
import { UserError } from '../errors.js';
import { machineErrorOf } from '../machineError.js';

/** ONNX Runtime's execution providers that ort-tl trains on, by the names of its API. */
export const providerNames = ['cpu', 'cuda', 'webgpu', 'coreml', 'dml'] as const;
export type Provider = (typeof providerNames)[number];

/** What each needs, for who lacks it. */
const needs: Record<Provider, string> = {
  cpu: 'nothing but the onnxruntime-node package',
  cuda: 'an NVIDIA GPU, the CUDA provider of ONNX Runtime, which is a download of its own (README says how), and CUDA and cuDNN in the versions that it was built for',
  webgpu:
    'a graphics adapter with a Vulkan, Metal or Direct3D 12 driver (on Debian: libvulkan1 and mesa-vulkan-drivers)',
  coreml: 'macOS on Apple silicon',
  dml: 'Windows with a Direct3D 12 graphics adapter',
};

export interface ProviderState {
  readonly name: Provider;
  readonly available: boolean;
  /** What is missing, in one line, where it is not available. */
  readonly needs: string;
  /** What ONNX Runtime says against it, in one line, where it is not available and says something that helps. */
  readonly reason?: string;
}

/** Whether a provider runs on this machine; tried out in a process of its own. @throws MachineError where none can be started. */
export async function probeProvider(name: Provider): Promise<ProviderState> {
  const child = spawn(process.execPath, [entryPoint('probe'), name], {
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: 30_000,
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const available = await new Promise<boolean>((resolve, reject) => {
    child.on('error', (thrown) => {
      const machine = machineErrorOf(thrown);
      if (machine) reject(machine);
      else resolve(false);
    });
    child.on('close', (code) => {
      resolve(code === 0);
    });
  });
  const reason = available ? undefined : reasonIn(said);
  return { name, available, needs: needs[name], ...(reason === undefined ? {} : { reason }) };
}

/** What is to blame, in what ONNX Runtime and its drivers print: a library that is missing, without its folder, or a device. */
export function reasonIn(said: string): string | undefined {
  const reason =
    /Failed to load library .*? with error: (.*)/.exec(said)?.[1] ??
    /(CUDA failure \d+: .*?) ;/.exec(said)?.[1] ??
    /(Couldn't load Vulkan: .*)/.exec(said)?.[1] ??
    /(vkCreateInstance: .*)/.exec(said)?.[1] ??
    /Failed to get a WebGPU adapter: (.*)/.exec(said)?.[1] ??
    /^Error: (?!no available backend)(.*)/m.exec(said)?.[1];
  return reason?.replace(/(?:\/[^\s/:]+)+\/(?=[^\s/])/g, '').trim();
}

/** Every provider's state, in the order of {@link providerNames}. */
export function probeProviders(): Promise<ProviderState[]> {
  return Promise.all(providerNames.map(probeProvider));
}

/**
 * The provider for `--provider NAME`; `auto` takes CUDA where it runs, else the CPU.
 * @throws UserError `bad-provider` for an unknown name, `no-provider` when it does not run here, with what it needs.
 */
export async function providerCalled(name: string): Promise<Provider> {
  if (name === 'auto') return (await probeProvider('cuda')).available ? 'cuda' : 'cpu';
  const known = providerNames.find((each) => each === name);
  if (!known)
    throw new UserError(
      'bad-provider',
      `expected one of ${providerNames.join(', ')} or auto, got \`${name}\` (‹provider›)`,
    );
  if (known === 'cpu') return known;
  const state = await probeProvider(known);
  const said = state.reason === undefined ? '' : ` (ONNX Runtime: ${state.reason})`;
  if (!state.available)
    throw new UserError(
      'no-provider',
      `the ${known} provider does not run on this machine: it needs ${state.needs}; or choose ‹provider› cpu${said}`,
    );
  return known;
}
