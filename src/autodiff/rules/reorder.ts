import { fromBlocked, toBlocked } from '../../graph/blocked.js';
import { BLOCKED } from '../../graph/domains.js';
import { concreteShape } from '../../graph/graph.js';
import type { GradientRule } from '../rule.js';

/** y is x, blocked  ⇒  dx is dy, no longer blocked. */
export const reorderInput: GradientRule = {
  op: 'ReorderInput',
  domain: BLOCKED,
  gradients: ({ input, dy, g }) => [() => fromBlocked(g, dy, concreteShape(input(0))[1] ?? 0)],
};

/** y is x, no longer blocked  ⇒  dx is dy, blocked. */
export const reorderOutput: GradientRule = {
  op: 'ReorderOutput',
  domain: BLOCKED,
  gradients: ({ dy, g }) => [() => toBlocked(g, dy)],
};
