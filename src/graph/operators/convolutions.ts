import { elementCount } from '../../onnx/tensor.js';
import { convGeometry } from '../convGeometry.js';
import { at, whole } from '../dims.js';
import { BLOCKED } from '../domains.js';
import { bindShape, describe, type Node, type Shape, showShape } from '../graph.js';
import { checkGeometry, checkVector } from '../nodeChecks.js';
import { elementsOf } from '../valueSize.js';
import type { Operator, ShapeContext } from './operator.js';
import { windowed } from './pools.js';

export const conv: Operator = {
  op: 'Conv',
  domains: ['', BLOCKED],
  required: 2,
  isOfOneType: true,
  vectors: [2],
  check: checkConvolution,
  shape: convolved,
  multiplyAdds: (node, batch) => elementsOf(node.outputs[0], batch) * elementsOfKernel(node, batch),
  inWholeNumbers: true,
  channelAxis: () => 0,
};

export const convTranspose: Operator = {
  op: 'ConvTranspose',
  required: 2,
  isOfOneType: true,
  check: checkConvolution,
  shape: convTransposed,
  multiplyAdds: (node, batch) => elementsOf(node.inputs[0], batch) * elementsOfKernel(node, batch),
};

function elementsOfKernel(node: Node, batch: number): number {
  return elementCount(bindShape(node.inputs[1]?.shape ?? [], batch).slice(1));
}

function convolved(context: ShapeContext): Shape {
  const { node, shape } = context;
  const [from, weight] = [shape(0), shape(1)];
  const { group } = convGeometry(node);
  if (weight.length !== from.length || from[1] !== whole(node, weight[1]) * group) {
    throw new Error(
      `${describe(node)} cannot convolve ${showShape(from)} with ${showShape(weight)} in ${group} groups`,
    );
  }
  const [kernels] = weight;
  return windowed(context).map((dim, axis) => (axis === 1 && kernels !== undefined ? kernels : dim));
}

function convTransposed({ node, shape }: ShapeContext): Shape {
  const from = shape(0);
  const { kernel, strides, dilations, pads, group } = convGeometry(node);
  const extra = node.ints('output_padding') ?? kernel.map(() => 0);
  const isSame = node.string('auto_pad', 'NOTSET').startsWith('SAME');
  const spatial =
    node.ints('output_shape') ??
    kernel.map((k, axis) => {
      // Padded so that the output is as many times larger as the stride says.
      if (isSame) return whole(node, from[axis + 2]) * at(strides, axis);
      const reach = (whole(node, from[axis + 2]) - 1) * at(strides, axis) + at(dilations, axis) * (k - 1) + 1;
      return reach - at(pads, axis) - at(pads, axis + kernel.length) + at(extra, axis);
    });
  return [at(from, 0), whole(node, shape(1)[1]) * group, ...spatial];
}

function checkConvolution(node: Node): void {
  checkWeight(node);
  checkGeometry(node);
}

/** The weight [K, C / groups, …] of a convolution, or [C, K / groups, …] of a transposed one, and its bias [K]. */
function checkWeight(node: Node): void {
  const weight = node.input(1).shape;
  const group = node.int('group', 1);
  const [first, second] = weight ?? [];
  if (!weight || typeof first !== 'number' || typeof second !== 'number') return;
  const stated = node.ints('kernel_shape');
  const isStated =
    !stated || (stated.length === weight.length - 2 && stated.every((n, axis) => n === weight[axis + 2]));
  if (weight.some((dim) => dim === 0) || first % group !== 0 || !isStated)
    throw new Error(
      `${describe(node)} cannot use a weight of shape ${showShape(weight)} in ${group} groups${stated ? `, with a kernel_shape of [${stated.join(', ')}]` : ''}`,
    );
  if (node.inputs[2]) checkVector(node, 2, node.op === 'Conv' ? first : second * group);
}
