import { UserError } from '../errors.js';
import type { TensorShapeProto_Dimension, ValueInfoProto } from '../onnx/onnx_pb.js';
import { dtypeName, dtypeOfCode } from '../onnx/tensor.js';
import type { Shape, Value } from './graph.js';

/**
 * The type and shape of what a model takes. Its first dimension is the batch; `imageSize` [height, width] stands in for sides that the file leaves open.
 * @throws UserError `unsupported-input`, `unsupported-dtype`.
 */
export function inputType(
  info: ValueInfoProto,
  imageSize?: readonly [number, number],
): [Value['dtype'], Shape | undefined] {
  const type = info.type?.tensorType;
  if (!type)
    throw new UserError(
      'unsupported-input',
      `input "${info.name}" of the model is no tensor; ort-tl needs one image tensor`,
    );
  const dtype = dtypeOfCode(type.elemType);
  if (!dtype)
    throw new UserError(
      'unsupported-dtype',
      `input "${info.name}" has element type ${dtypeName(type.elemType)}; ort-tl needs float32`,
    );
  const dims = type.shape?.dim;
  // The channels come second, or last, where three or one are stated.
  const isOpen = (dim: TensorShapeProto_Dimension | undefined) =>
    dim?.value.case !== 'dimValue' || dim.value.value <= 0n;
  const last = dims?.[3]?.value.value;
  const firstSide = isOpen(dims?.[1]) && (last === 3n || last === 1n) ? 1 : 2;
  const shape = dims?.map(({ value }, axis) => {
    if (axis === 0) return { batch: 1 };
    if (value.case === 'dimValue' && value.value > 0n) return Number(value.value);
    const stated = imageSize?.[axis - firstSide];
    if (dims.length === 4 && stated !== undefined) return stated;
    throw new UserError(
      'unsupported-input',
      `input "${info.name}" leaves its dimension ${axis} open; export the model with a fixed one`,
    );
  });
  return [dtype, shape];
}
