import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { encodeParts } from '../../src/onnx/encodeParts.js';
import { decodeModel } from '../../src/onnx/model.js';
import { ModelProtoSchema } from '../../src/onnx/onnx_pb.js';
import { SMALL_CNN } from '../models.js';

it('a model in parts decodes to the same model, and its weights are no copies', () => {
  const model = decodeModel(readFileSync(SMALL_CNN), SMALL_CNN);
  const parts = encodeParts(model);
  const decoded = fromBinary(ModelProtoSchema, Buffer.concat(parts));
  expect(Buffer.compare(toBinary(ModelProtoSchema, decoded), toBinary(ModelProtoSchema, model))).toBe(0);
  for (const { rawData } of model.graph?.initializer ?? [])
    if (rawData.byteLength > 0) expect(parts.some((part) => part === rawData)).toBe(true);
});
