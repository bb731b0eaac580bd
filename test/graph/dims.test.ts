import { describe, expect, it } from 'vitest';
import { broadcastShapes, stretchesTo } from '../../src/graph/broadcast.js';
import { at, product, quotient, whole, wrap } from '../../src/graph/dims.js';
import {
  bindShape,
  concreteShape,
  consumersOf,
  describe as describeNode,
  type Dim,
  Node,
  sameDim,
  showShape,
  Value,
} from '../../src/graph/graph.js';
import { ancestors, descendants, sortTopologically } from '../../src/graph/order.js';
import { bytesOfValue, elementsOf } from '../../src/graph/valueSize.js';

const N = { batch: 1 };
const node = (name: string, inputs: (Value | undefined)[] = [], outputs = [new Value(`${name}_output`)]) =>
  new Node({ op: 'Op', name, inputs, outputs });

describe('a dimension', () => {
  it.each<[Dim, Dim, boolean]>([
    [2, 2, true],
    [2, 3, false],
    [2, { batch: 2 }, false],
    [{ batch: 2 }, 2, false],
    [{ batch: 2 }, { batch: 2 }, true],
    [{ batch: 2 }, { batch: 3 }, false],
  ])('%j is the same as %j: %s', (a, b, expected) => {
    expect(sameDim(a, b)).toBe(expected);
  });

  it('is multiplied with others while one at most depends on the batch', () => {
    expect(product([])).toBe(1);
    expect(product([2, 3, 4])).toBe(24);
    expect(product([2, { batch: 3 }])).toEqual({ batch: 6 });
    expect(product([N, N])).toBeUndefined();
  });

  it.each<[Dim, Dim, Dim | undefined]>([
    [7, 2, 3],
    [{ batch: 6 }, 2, { batch: 3 }],
    [{ batch: 6 }, 4, undefined],
    [{ batch: 6 }, { batch: 2 }, 3],
    [{ batch: 6 }, { batch: 4 }, undefined],
    [6, N, undefined],
  ])('%j is divided by %j, if the result is one: %j', (a, b, expected) => {
    expect(quotient(a, b)).toEqual(expected);
  });

  it('is a number, or an error that names the node', () => {
    expect(whole(node('a'), 3)).toBe(3);
    expect(() => whole(node('a'), N)).toThrow(/node "a" \(Op\) works along the batch/);
    expect(() => whole(node('a'), undefined)).toThrow(/works along the batch/);
  });
});

describe('an axis', () => {
  it('counts from the end where it is negative', () => {
    expect([0, 2, 3, -1, -3].map((axis) => wrap(axis, 3))).toEqual([0, 2, 3, 2, 0]);
  });

  it.each([4, -4, NaN])('%d of three is refused', (axis) => {
    expect(() => wrap(axis, 3)).toThrow(`there is no axis ${axis} of 3`);
  });
});

describe('an item of a list', () => {
  it('is there, or refused', () => {
    expect(at([5, 6], 1)).toBe(6);
    expect(() => at([5, 6], 2)).toThrow('there is no item 2 of 2');
  });
});

describe('a shape', () => {
  const shape = [{ batch: 2 }, 3, 4];

  it('is shown, and bound to a batch', () => {
    expect(showShape([N, { batch: 2 }, 3])).toBe('[N, 2N, 3]');
    expect(showShape(undefined)).toBe('[?]');
    expect(bindShape(shape, 5)).toEqual([10, 3, 4]);
  });

  it('is concrete, or refused by the name of the value', () => {
    expect(concreteShape(new Value('x', 'float32', [2, 3]))).toEqual([2, 3]);
    expect(() => concreteShape(new Value('x', 'float32'))).toThrow('the shape of "x" is unknown');
    expect(() => concreteShape(new Value('x', 'float32', [N]))).toThrow('the shape of "x" depends on the batch size');
  });

  it('tells elements and bytes', () => {
    expect(elementsOf(new Value('x', 'float32', shape))).toBe(24);
    expect(elementsOf(new Value('x', 'float32', shape), 5)).toBe(120);
    expect(elementsOf(undefined)).toBe(0);
    expect(elementsOf(new Value('x', 'float32'), 5)).toBe(0);
    expect(bytesOfValue(new Value('x', 'int64', shape), 5)).toBe(960);
    expect(bytesOfValue(new Value('x', undefined, shape))).toBe(96);
  });

  it.each<[Dim[], Dim[], Dim[] | undefined]>([
    [[3, 1], [4], [3, 4]],
    [[4], [3, 1], [3, 4]],
    [
      [N, 1, 4],
      [3, 1],
      [N, 3, 4],
    ],
    [
      [N, 4],
      [N, 4],
      [N, 4],
    ],
    [[N, 4], [2, 4], undefined],
    [[3], [4], undefined],
    [[], [], []],
  ])('%j is broadcast with %j to %j', (a, b, expected) => {
    expect(broadcastShapes([a, b])).toEqual(expected);
  });

  it.each<[Dim[], Dim[], boolean]>([
    [[1, 4], [3, 4], true],
    [[4], [3, 4], true],
    [[3, 4], [4], false],
    [[3, 4], [1, 4], false],
    [[2, 4], [3, 4], false],
  ])('%j is stretched to %j: %s', (from, to, expected) => {
    expect(stretchesTo(from, to)).toBe(expected);
  });
});

describe('a node', () => {
  it('is described by its name, or by what it writes', () => {
    expect(describeNode(node('a'))).toBe('node "a" (Op)');
    expect(describeNode(node('', [], [new Value('y')]))).toBe('node "y" (Op)');
    expect(describeNode(node('', [], []))).toBe('node "?" (Op)');
  });

  it('gives its inputs and outputs, or says which it lacks', () => {
    const [x, y, z] = [new Value('x'), new Value('y'), new Value('z')];
    const given = node('a', [undefined, x], [y, z]);
    expect(given.input(1)).toBe(x);
    expect([given.output(), given.output(1)]).toEqual([y, z]);
    expect(() => given.input(0)).toThrow('node "a" (Op) lacks its input 0');
    expect(() => given.output(2)).toThrow('node "a" (Op) lacks its output 2');
    expect(y.producer).toBe(given);
  });

  it('gives attributes of the kind that is asked for, and defaults in place of others', () => {
    const given = new Node({
      ...{ op: 'Op', name: '', inputs: [], outputs: [] },
      attributes: new Map([
        ['i', { kind: 'int', value: 3 }],
        ['f', { kind: 'float', value: 0.5 }],
        ['s', { kind: 'string', value: 'text' }],
        ['l', { kind: 'ints', value: [1, 2] }],
      ]),
    });
    expect([given.int('i', 9), given.int('f', 9), given.int('none', 9)]).toEqual([3, 9, 9]);
    expect([given.float('f', 9), given.float('i', 9)]).toEqual([0.5, 9]);
    expect([given.string('s', 'd'), given.string('i', 'd')]).toEqual(['text', 'd']);
    expect([given.ints('l'), given.ints('i')]).toEqual([[1, 2], undefined]);
    given.setAttribute('i', { kind: 'int', value: 4 });
    expect([given.int('i', 9), given.float('f', 9)]).toEqual([4, 0.5]);
  });
});

describe('the order of nodes', () => {
  const [x, a, b, c] = [new Value('x'), new Value('a'), new Value('b'), new Value('c')];
  const [first, second, third] = [node('1', [x], [a]), node('2', [a, a], [b]), node('3', [a, b], [c])];
  const names = (nodes: readonly Node[]) => nodes.map(({ name }) => name).join('');

  it('is kept where each follows what it reads, and else made so', () => {
    expect(names(sortTopologically([first, second, third]))).toBe('123');
    expect(names(sortTopologically([third, second, first]))).toBe('123');
    expect(names(sortTopologically([second, first]))).toBe('12');
  });

  it('does not mind what reads its own input twice, and refuses a circle', () => {
    const [p, q] = [new Value('p'), new Value('q')];
    const circle = [node('4', [q], [p]), node('5', [p, p], [q])];
    expect(() => sortTopologically([first, ...circle])).toThrow(/node "4" \(Op\) depends on its own output/);
  });

  it('tells what values depend on, and what depends on them', () => {
    const all = [first, second, third];
    expect(names(ancestors(all, [b]))).toBe('12');
    expect(names(ancestors(all, [c]))).toBe('123');
    expect(names(ancestors(all, []))).toBe('');
    expect(names(descendants(all, [b]).nodes)).toBe('3');
    expect([...descendants(all, [b]).values]).toEqual([b, c]);
  });

  it('tells each reader of a value once', () => {
    const readers = consumersOf([first, second, third, node('4', [undefined])]);
    expect([...readers].map(([value, nodes]) => `${value.name}:${names(nodes)}`)).toEqual(['x:1', 'a:23', 'b:3']);
  });
});
