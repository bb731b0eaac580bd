import { step, clip } from '../piecewise.js';
import type { GradientRule, RuleContext } from '../rule.js';

/** y = x where x > 0, α(eˣ − 1) elsewhere  ⇒  dx = dy where x > 0, dy · αeˣ elsewhere. */
export const elu: GradientRule = {
  op: 'Elu',
  gradients: (context) => [() => times(context, context.node.float('alpha', 1), 1, 1)],
};

/** y = γ·elu(x)  ⇒  dx = γ·dy where x > 0, dy · γαeˣ elsewhere. The defaults are those of ONNX. */
export const selu: GradientRule = {
  op: 'Selu',
  gradients: (context) => [
    () => {
      const gamma = context.node.float('gamma', 1.0507010221481323);
      return times(context, gamma * context.node.float('alpha', 1.6732631921768188), gamma, 1);
    },
  ],
};

/** y = x where x > 0, α(e^(x/α) − 1) elsewhere  ⇒  dx = dy where x > 0, dy · e^(x/α) elsewhere. */
export const celu: GradientRule = {
  op: 'Celu',
  gradients: (context) => [() => times(context, 1, 1, context.node.float('alpha', 1))],
};

/** dy times a slope of `below · e^(x/width)` up to 0 and `above` after it. */
function times({ input, dy, g }: RuleContext, below: number, above: number, width: number) {
  const x = clip(g, input(0), undefined, 0);
  const decay = g.exp(width === 1 ? x : g.mul(x, g.scalar(1 / width)));
  const slope = below === 1 ? decay : g.mul(decay, g.scalar(below));
  return g.mul(dy, above === below ? slope : g.add(slope, step(g, input(0), 0, above - below)));
}
