import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { env } from './ort.js';
import { UserError } from '../errors.js';

/** Of onnxruntime-node. */
export const runtimeVersion = env.versions.node ?? 'unknown';

/** ONNX Runtime's execution providers that ort-tl trains on, by the names of its API. */
export const providerNames = ['cpu', 'cuda', 'webgpu', 'coreml', 'dml'] as const;
export type Provider = (typeof providerNames)[number];

/** What each needs, for who lacks it. */
const needs: Record<Provider, string> = {
  cpu: 'nothing but the onnxruntime-node package',
  cuda: 'an NVIDIA GPU, CUDA 12 with cuDNN 9, and `npm rebuild onnxruntime-node --onnxruntime-node-install=cuda12`',
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
}

/** Whether a provider runs on this machine; tried out in a process of its own. */
export async function probeProvider(name: Provider): Promise<ProviderState> {
  const script = fileURLToPath(
    // Under a TypeScript test runner this file is source, and the script is the built one.
    new URL(import.meta.url.endsWith('.ts') ? '../../dist/runtime/probe.js' : './probe.js', import.meta.url),
  );
  const child = spawn(process.execPath, [script, name], { stdio: 'ignore', timeout: 30_000 });
  const available = await new Promise<boolean>((resolve) => {
    child.on('error', () => {
      resolve(false);
    });
    child.on('exit', (code) => {
      resolve(code === 0);
    });
  });
  return { name, available, needs: needs[name] };
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
      `expected one of ${providerNames.join(', ')} or auto, got \`${name}\` (--provider)`,
    );
  if (known === 'cpu') return known;
  const state = await probeProvider(known);
  if (!state.available)
    throw new UserError(
      'no-provider',
      `the ${known} provider does not run on this machine: it needs ${state.needs}; or choose --provider cpu`,
    );
  return known;
}
