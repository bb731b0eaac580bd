import type { Value } from '../../graph/graph.js';
import { compare, indicator } from '../piecewise.js';
import type { GradientRule, GradientThunk, RuleContext } from '../rule.js';

/** y = the largest of a, b, …  ⇒  dy goes to where it came from; where several are equal, each gets the same share. */
export const max: GradientRule = { op: 'Max', gradients: (context) => shares(context, true) };

/** y = the smallest of a, b, …  ⇒  dy goes to where it came from, as {@link max} says. PyTorch shares out likewise. */
export const min: GradientRule = { op: 'Min', gradients: (context) => shares(context, false) };

function shares({ node, input, output, dy, g }: RuleContext, isMax: boolean): GradientThunk[] {
  const inputs = node.inputs.map((_, index) => input(index));
  const isChosen = (x: Value) => indicator(g, g.equal(x, output()));
  const share = (x: Value, index: number): Value => {
    const [other, ...more] = inputs.filter((_, each) => each !== index);
    if (!other) return dy;
    if (more.length === 0) return g.mul(dy, isMax ? compare(g, x, other) : compare(g, other, x));
    const count = inputs.map(isChosen).reduce(g.add);
    return g.mul(g.div(dy, count), isChosen(x));
  };
  return inputs.map((x, index) => () => share(x, index));
}
