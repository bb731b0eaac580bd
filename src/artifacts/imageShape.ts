import { UserError } from '../errors.js';
import { bindShape, describe, type Node, type Value } from '../graph/graph.js';
import { infersShapeOf } from '../graph/shapes.js';

/** The error of a value in the trained part whose shape an operator before it hides. */
export function unknownShape({ name, producer }: Value): UserError {
  const source = producer && unknownOperatorBefore(producer);
  return new UserError(
    'unknown-shape',
    `the shape of "${name}" is not known${source ? `, since ${describe(source)} hides it` : ''}; write shapes into the model (onnx.shape_inference), or choose a policy that stops after it`,
  );
}

/** The first operator that ort-tl does not know on the way back from `node`. */
function unknownOperatorBefore(node: Node): Node {
  const seen = new Set([node]);
  for (const each of seen) {
    if (!infersShapeOf(each)) return each;
    for (const input of each.inputs) if (input?.producer && !input.shape) seen.add(input.producer);
  }
  return node;
}

/** The shape of one image's share of a boundary value. @throws UserError `unknown-shape`, `unsupported-model`. */
export function imageShape(value: Value): number[] {
  if (!value.shape) throw unknownShape(value);
  const [first, ...rest] = value.shape;
  if (first === undefined || typeof first === 'number' || first.batch !== 1) {
    throw new UserError(
      'unsupported-model',
      `"${value.name}", where the trained part begins, does not have the batch as its first dimension; choose another policy`,
    );
  }
  return bindShape(rest, 1);
}
