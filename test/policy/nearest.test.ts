import { describe, expect, it } from 'vitest';
import { Node, Value } from '../../src/graph/graph.js';
import type { Layer } from '../../src/policy/layer.js';
import type { LayerTable } from '../../src/policy/layers.js';
import { deepestWithin } from '../../src/policy/nearest.js';
import { parsePolicy, type Policy, showPolicy } from '../../src/policy/policy.js';

/** A model of so many layers. */
function table(fcs: number, convs: number): LayerTable {
  const layers = (kind: Layer['kind'], count: number): Layer[] =>
    Array.from({ length: count }, (_, index) => {
      const output = new Value(`${kind}${index}`);
      return {
        kind,
        name: output.name,
        node: new Node({ op: 'Conv', name: '', inputs: [], outputs: [output] }),
        output,
        parameters: [],
        shift: undefined,
        norm: undefined,
      };
    });
  const [own, others] = [layers('fc', fcs), layers('conv', convs)];
  const classwise = { rows: [], shapes: [] };
  return { fcs: own, convs: others, all: [...others, ...own], heads: own.slice(-1), classwise, buffers: [] };
}

/** A policy fits that trains no more than this. */
const within = (fcs: number, convs: number) => (policy: Policy) =>
  policy.kind === 'last' && policy.fcs !== 'all' && policy.fcs <= fcs && policy.convs <= convs;

describe('deepestWithin', () => {
  it.each([
    ['F1C9', 1, 4, 'F1C4'],
    ['full', 3, 7, 'F3C7'],
    ['FxC2', 3, 9, 'F3C2'],
    ['F3C9', 1, 0, 'F1C0'],
    ['F2C1', 2, 0, 'F2C0'],
  ])('of %s, where F%iC%i fits, is %s', (policy, fcs, convs, expected) => {
    const found = deepestWithin(parsePolicy(policy), table(3, 9), within(fcs, convs));
    expect(found && showPolicy(found)).toBe(expected);
  });

  it('is none where not even the last FC layer fits', () => {
    expect(deepestWithin(parsePolicy('full'), table(3, 9), within(0, 0))).toBeUndefined();
  });

  it('asks of policies alone that there are', () => {
    const asked: string[] = [];
    deepestWithin(parsePolicy('F2C3'), table(3, 9), (policy) => {
      asked.push(showPolicy(policy));
      return false;
    });
    expect(asked).toEqual(['F2C0', 'F1C0']);
  });

  it('tries a few policies, not each of them', () => {
    let tried = 0;
    const fits = (policy: Policy) => {
      tried++;
      return within(1, 700)(policy);
    };
    expect(deepestWithin(parsePolicy('F1C999'), table(1, 1000), fits)).toMatchObject({ convs: 700 });
    expect(tried).toBeLessThan(15);
  });
});
