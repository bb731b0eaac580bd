import { BLOCKED } from './domains.js';
import { type Dim, describe, type Node } from './graph.js';
import { integersOf, type Known } from './integers.js';
import { operatorOf } from './operators.js';
import type { ShapeContext } from './operators/operator.js';

/**
 * Whether the shape of what a node gives follows from its inputs', for a node of a source model: the blocked layout is what ort-tl
 * itself writes; a source model would have it laid out for another machine.
 */
export function infersShapeOf(node: Node): boolean {
  const operator = operatorOf(node);
  return node.domain !== BLOCKED && (operator?.shape ?? operator?.shapes) !== undefined;
}

/**
 * Sets the types and shapes of a node's outputs, as far as its inputs tell; an operator that ort-tl does not know leaves
 * them open.
 * @throws Error when the inputs' shapes do not fit the operator.
 */
export function inferNode(node: Node, known: Known = new Map()): void {
  const operator = operatorOf(node);
  if (!operator || !(operator.shape ?? operator.shapes)) return;
  const dtype = operator.dtype ? operator.dtype(node) : node.inputs[0]?.dtype;
  const isKnown = node.inputs.every((input) => !input || input.shape);
  const context = contextOf(node, known);
  const shape = isKnown ? operator.shape?.(context) : undefined;
  const shapes = isKnown ? operator.shapes?.(context) : undefined;
  node.outputs.forEach((output, index) => {
    if (!output) return;
    output.dtype = index === 0 ? dtype : (operator.otherDTypes?.[index - 1] ?? dtype);
    output.shape = operator.shapes ? shapes?.[index] : shape;
  });
}

/** The integers that a node computes, where ort-tl can follow it. */
export function integersFrom(node: Node, known: Known): readonly Dim[] | undefined {
  return operatorOf(node)?.integers?.(contextOf(node, known));
}

function contextOf(node: Node, known: Known): ShapeContext {
  return {
    node,
    shape: (index) => {
      const { shape } = node.input(index);
      if (!shape) throw new Error(`the shape of input ${index} of ${describe(node)} is not known`);
      return shape;
    },
    numbers: (index) => integersOf(node.inputs[index], known),
  };
}
