// The page's copy of onnxruntime-web, which is written beside it.
export * from 'onnxruntime-web/wasm';
