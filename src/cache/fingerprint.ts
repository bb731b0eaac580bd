import { toBinary } from '@bufbuild/protobuf';
import type { Preprocessing } from '../artifacts/manifest.js';
import { sha256 } from '../files.js';
import { capturedBy } from '../onnx/captured.js';
import { AttributeProtoSchema, type ModelProto, TensorProtoSchema } from '../onnx/onnx_pb.js';

/** Identifies the pixels that `decoder` makes of photos. */
export function pixelFingerprint({ width, height, resize, cropShare = 1 }: Preprocessing, decoder: string): string {
  const share = cropShare === 1 ? [] : [cropShare];
  return sha256(Buffer.from(JSON.stringify(['pixels', width, height, resize, ...share, decoder])));
}

/**
 * For every value of a model whose only input has the fingerprint `pixels`, a hash of all that it is computed from: operators,
 * attributes, constants, and how they are joined, but no names. Two models share a fingerprint where they compute the same.
 */
export function fingerprints(model: ModelProto, pixels: string): Map<string, string> {
  const { graph } = model;
  if (!graph) throw new Error('the model has no graph');
  const hash = (...parts: (string | Uint8Array)[]) =>
    sha256(...parts.flatMap((part) => [Buffer.from(`${part.length}:`), Buffer.from(part)]));
  const opsets = model.opsetImport.map(({ domain, version }) => `${domain} ${version}`).sort();
  const found = new Map<string, string>(graph.input.map(({ name }) => [name, pixels]));
  for (const initializer of graph.initializer)
    found.set(initializer.name, hash(toBinary(TensorProtoSchema, { ...initializer, name: '' })));
  for (const each of graph.node) {
    const { opType, domain, attribute, input, output } = each;
    const attributes = attribute
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
      .map((one) => toBinary(AttributeProtoSchema, { ...one }));
    const inputs = [...input, ...capturedBy(each)].map((name) =>
      name === '' ? 'none' : (found.get(name) ?? `missing ${name}`),
    );
    const node = hash(...opsets, domain, opType, ...attributes, 'inputs', ...inputs);
    output.forEach((name, index) => found.set(name, hash(node, String(index))));
  }
  return found;
}
