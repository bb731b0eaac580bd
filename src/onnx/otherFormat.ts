/** What a file is that is no ONNX model, and what to do. */
export interface OtherFormat {
  readonly what: string;
  readonly advice: string;
}

const EXPORT_IT = 'export it to ONNX from the framework that made it';

/** How files begin that people take for ONNX models: at which byte, with which characters. */
const SIGNATURES: readonly (OtherFormat & { readonly at: number; readonly text: string })[] = [
  {
    at: 4,
    text: 'ORTM',
    what: "a model in ONNX Runtime's own format (.ort)",
    advice: 'take the ONNX file that it was made from',
  },
  { at: 4, text: 'TFL3', what: 'a TensorFlow Lite model', advice: EXPORT_IT },
  { at: 0, text: 'PK\x03\x04', what: 'an archive (as PyTorch, Keras and Core ML write them)', advice: EXPORT_IT },
  { at: 0, text: '\x89HDF', what: 'an HDF5 file (as Keras writes it)', advice: EXPORT_IT },
  { at: 8, text: '{"', what: 'a safetensors file, which holds weights without a network', advice: EXPORT_IT },
  { at: 0, text: 'GGUF', what: 'a GGUF file', advice: EXPORT_IT },
  { at: 0, text: '\x1f\x8b', what: 'compressed with gzip', advice: 'unpack it' },
  {
    at: 0,
    text: 'version https://git-lfs',
    what: 'a pointer of Git LFS, in place of the file',
    advice: 'load the file itself (git lfs pull)',
  },
  { at: 0, text: '<!DOCTYPE', what: 'a web page', advice: 'download the file itself' },
  { at: 0, text: '<!doctype', what: 'a web page', advice: 'download the file itself' },
  { at: 0, text: '<html', what: 'a web page', advice: 'download the file itself' },
];

/** What bytes are that are known to be another kind of file. */
export function otherFormat(bytes: Uint8Array): OtherFormat | undefined {
  return SIGNATURES.find(({ at, text }) =>
    Array.from(text).every((character, index) => bytes[at + index] === character.charCodeAt(0)),
  );
}
