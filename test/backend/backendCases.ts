import { fromBinary } from '@bufbuild/protobuf';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TensorProtoSchema, type TensorProto } from '../../src/onnx/onnx_pb.js';
import { ModelProtoSchema } from '../../src/onnx/onnx_pb.js';

/** One of the ONNX project's cases: a small model, inputs for it and the outputs it must give. */
export interface BackendCase {
  /** Release of `onnx` and name of the case, such as `1.23.2/test_relu`. */
  readonly name: string;
  readonly bytes: Uint8Array;
  /** The one operator of the model, or `several` for a model of several. */
  readonly op: string;
  readonly inputs: readonly TensorProto[];
  readonly outputs: readonly TensorProto[];
}

/** The cases in a folder that `make-cases.py` made. */
export function backendCases(folder: string): BackendCase[] {
  const foldersOf = (path: string) =>
    readdirSync(path, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
  return foldersOf(folder).flatMap((release) =>
    foldersOf(join(folder, release)).flatMap((name) => {
      const path = join(folder, release, name);
      if (!existsSync(join(path, 'model.onnx'))) return [];
      const bytes = readFileSync(join(path, 'model.onnx'));
      const ops = new Set(fromBinary(ModelProtoSchema, bytes).graph?.node.map(({ opType }) => opType));
      ops.delete('Constant');
      const data = join(path, 'test_data_set_0');
      return [
        {
          name: `${release}/${name}`,
          bytes,
          op: ops.size === 1 ? ([...ops][0] ?? '') : 'several',
          inputs: tensorsOf(data, 'input'),
          outputs: tensorsOf(data, 'output'),
        },
      ];
    }),
  );
}

/** A folder's `input_0.pb`, `input_1.pb` and so on; none where they are no tensors (sequences). */
function tensorsOf(folder: string, kind: 'input' | 'output'): TensorProto[] {
  const tensors: TensorProto[] = [];
  for (let index = 0; existsSync(join(folder, `${kind}_${index}.pb`)); index++) {
    try {
      tensors.push(fromBinary(TensorProtoSchema, readFileSync(join(folder, `${kind}_${index}.pb`))));
    } catch {
      return [];
    }
  }
  return tensors;
}
