import { describe, expect, it } from 'vitest';
import { rules } from '../../src/autodiff/registry.js';
import { Node, Value } from '../../src/graph/graph.js';
import { operatorOf, OPERATORS } from '../../src/graph/operators.js';
import { infersShapeOf } from '../../src/graph/shapes.js';

const nodeOf = (op: string, domain: string) =>
  new Node({ op, domain, name: '', inputs: [], outputs: [new Value('y')] });

describe('the table of operators', () => {
  it('is in alphabetical order and names each operator once', () => {
    const names = OPERATORS.map(({ op }) => op);
    expect(names).toEqual([...new Set(names)].sort((a, b) => (a.toLowerCase() < b.toLowerCase() ? -1 : 1)));
  });

  it.each(rules.map(({ op, domain = '' }) => [domain, op] as const))(
    'has the operator of every rule: %s %s',
    (...[domain, op]) => {
      expect(operatorOf(nodeOf(op, domain)), `a line for ${op} in src/graph/operators.ts`).toBeDefined();
    },
  );

  it('does not take an operator of another domain for the standard one of its name', () => {
    expect(operatorOf(nodeOf('Relu', ''))).toMatchObject({ op: 'Relu' });
    expect(operatorOf(nodeOf('Relu', 'my.ops'))).toBeUndefined();
    expect(operatorOf(nodeOf('QuickGelu', 'com.microsoft'))).toMatchObject({ op: 'QuickGelu' });
    expect(operatorOf(nodeOf('QuickGelu', ''))).toBeUndefined();
  });

  it('knows the blocked layout, which no source model may have', () => {
    expect(operatorOf(nodeOf('Conv', 'com.microsoft.nchwc'))).toMatchObject({ op: 'Conv' });
    expect(infersShapeOf(nodeOf('Conv', 'com.microsoft.nchwc'))).toBe(false);
    expect(infersShapeOf(nodeOf('Conv', ''))).toBe(true);
  });

  it('tells no shape of what it has for its history alone', () => {
    expect(operatorOf(nodeOf('TopK', ''))).toBeDefined();
    expect(infersShapeOf(nodeOf('TopK', ''))).toBe(false);
  });
});
