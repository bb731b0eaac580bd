import { describe, expect, it } from 'vitest';
import { reasonIn } from '../../src/runtime/providers.js';

/** As onnxruntime-node 1.30.0 prints them, on a machine with an NVIDIA H100 and on one without a GPU. */
const from = '/onnxruntime_src/onnxruntime/core/session/provider_bridge_ort.cc:1988 onnxruntime::Provider& Get()';
const node = '/app/node_modules/onnxruntime-node/bin/napi-v6/linux/x64';
const missing = (
  library: string,
  error: string,
) => `\u001b[1;31m2026-11-26 01:22:12.680064770 [E:onnxruntime:onnxruntime-node, provider_bridge_ort.cc:2146 Create] ${from} [ONNXRuntimeError] : 1 : FAIL : Failed to load library ${node}/${library} with error: ${error}: cannot open shared object file: No such file or directory
\u001b[m
/app/node_modules/onnxruntime-node/dist/backend.js:53

Error: OrtSessionOptionsAppendExecutionProvider_Cuda: Failed to load shared library
    at new OnnxruntimeSessionHandler (/app/node_modules/onnxruntime-node/dist/backend.js:53:92)
`;
const noAdapter = `
Error: /onnxruntime_src/onnxruntime/core/providers/webgpu/webgpu_context.cc:136 onnxruntime::webgpu::WebGpuContext::Initialize(const onnxruntime::webgpu::WebGpuContextConfig&)::<lambda()> adapter_result.status == wgpu::RequestAdapterStatus::Success was false. Failed to get a WebGPU adapter: No supported adapters

    at new OnnxruntimeSessionHandler (/app/node_modules/onnxruntime-node/dist/backend.js:53:92)
`;

describe('why a provider does not run', () => {
  it('is the library that is missing, without its folder', () => {
    const shared = 'libonnxruntime_providers_shared.so';
    expect(reasonIn(missing(shared, `${node}/${shared}`))).toBe(
      `${shared}: cannot open shared object file: No such file or directory`,
    );
    expect(reasonIn(missing('libonnxruntime_providers_cuda.so', 'libcublasLt.so.12'))).toBe(
      'libcublasLt.so.12: cannot open shared object file: No such file or directory',
    );
  });

  it('is what CUDA says of its device', () => {
    const failure =
      'Error: /onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:146 onnxruntime::CudaCall() [with ERRTYPE = cudaError; bool THRW = true] CUDA failure 100: no CUDA-capable device is detected ; GPU=-1 ; hostname=vm ; file=cuda_execution_provider.cc ; line=352 ; expr=cudaSetDevice(info_.device_id);\n';
    expect(reasonIn(failure)).toBe('CUDA failure 100: no CUDA-capable device is detected');
  });

  it('is what Vulkan lacks, or that there is no adapter', () => {
    const loader =
      "Warning: Couldn't load Vulkan: libvulkan.so.1: cannot open shared object file: No such file or directory\n    at operator() (/build/Release/_deps/dawn-src/src/dawn/native/vulkan/BackendVk.cpp:368)\n";
    expect(reasonIn(loader + noAdapter)).toMatch(/^Couldn't load Vulkan: libvulkan.so.1: cannot open/);
    const drivers =
      'Warning: vkCreateInstance: Found no drivers!\nWarning: vkCreateInstance failed with VK_ERROR_INCOMPATIBLE_DRIVER\n';
    expect(reasonIn(drivers + noAdapter)).toBe('vkCreateInstance: Found no drivers!');
    expect(reasonIn(noAdapter)).toBe('No supported adapters');
  });

  it('is nothing where the package was built without it', () => {
    expect(
      reasonIn('Error: no available backend found. ERR: [dml] backend not found.\n    at resolve'),
    ).toBeUndefined();
    expect(reasonIn('')).toBeUndefined();
  });
});
