import { describe, expect, it } from 'vitest';
import { differentiate } from '../../src/autodiff/gradient.js';
import { rules } from '../../src/autodiff/registry.js';
import { Builder } from '../../src/graph/builder.js';
import { convolution } from './cases/convolution.js';
import { elementwise } from './cases/elementwise.js';
import { spatial } from './cases/spatial.js';
import { checkGradients } from './finiteDifferences.js';

const cases = [...convolution, ...elementwise, ...spatial];

describe('every rule has a case', () => {
  it.each(rules.map(({ op }) => op))('%s', (op) => {
    expect(cases.some((each) => each.op === op)).toBe(true);
  });
});

describe('gradients agree with central finite differences', () => {
  it.each(cases.map((each) => [each.op, each.what, each] as const))('%s: %s', async (_, __, each) => {
    await checkGradients(each);
  });
});

describe('differentiate', () => {
  it('builds nothing for an input that is frozen', () => {
    const g = new Builder(18);
    const [x, w] = [g.input('x', 'float32', [2, 3]), g.input('w', 'float32', [3, 4])];
    const loss = g.reduceSum(g.gemm(x, w), undefined, false);
    const forward = g.graph.nodes.length;
    differentiate(g, [...g.graph.nodes], loss, [w]);
    expect(g.graph.nodes.slice(forward).filter(({ op }) => op === 'Gemm')).toHaveLength(1);
  });

  it('names the operator that has no rule', () => {
    const g = new Builder(18);
    const x = g.input('x', 'float32', [2, 3]);
    const loss = g.reduceSum(g.op('Hardmax', [x], {}, { name: 'act' }), undefined, false);
    expect(() => differentiate(g, [...g.graph.nodes], loss, [x])).toThrow(
      /node "act" \(Hardmax\) lies between a trainable layer and the loss/,
    );
  });
});
