import { describe, expect, it } from 'vitest';
import { multipliersOf, parseMultipliers } from '../../src/optim/learningRates.js';

const layers = [
  { name: '/features.0/Conv', parameters: ['features.0.weight', 'features.0.bias'] },
  { name: '/features.10/Conv', parameters: ['features.10.weight'] },
  { name: '/classifier/Gemm', parameters: ['classifier.weight', 'classifier.bias'] },
];
const factors = (source: string) => Object.fromEntries(multipliersOf(layers, parseMultipliers(source)));

describe('learning-rate multipliers', () => {
  it('match names of parameters and of layers, of which all parameters follow', () => {
    expect(factors('*.bias=2')).toEqual({ 'features.0.bias': 2, 'classifier.bias': 2 });
    expect(factors('/features.?/*=0.1')).toEqual({ 'features.0.weight': 0.1, 'features.0.bias': 0.1 });
  });

  it('take the first that matches', () => {
    expect(factors('head=10, *=0.5')).toEqual({
      'classifier.weight': 10,
      'classifier.bias': 10,
      'features.0.weight': 0.5,
      'features.0.bias': 0.5,
      'features.10.weight': 0.5,
    });
  });

  it('may name a layer by one letter', () => {
    expect(parseMultipliers('a=2, b = 3,c=d=0.5')).toEqual([
      { glob: 'a', multiplier: 2 },
      { glob: 'b', multiplier: 3 },
      { glob: 'c=d', multiplier: 0.5 },
    ]);
  });

  it('refuse what matches nothing, and name all layers, or some where there are more than six', () => {
    const many = (count: number) =>
      Array.from({ length: count }, (_, index) => ({ name: `layer${index}`, parameters: [`weight${index}`] }));
    const refused = (count: number) => () => multipliersOf(many(count), [{ glob: 'none', multiplier: 2 }]);
    expect(refused(6)).toThrow('there are layer0, layer1, layer2, layer3, layer4, layer5 (');
    expect(refused(7)).toThrow('there are layer0, layer1, layer2, …, layer5, layer6 (');
    expect(() => multipliersOf(many(2), [{ glob: 'head', multiplier: 2 }])).not.toThrow();
  });

  it('take a point for a point', () => {
    expect(() => factors('features?0?weight=1,features.0.weigh.=2')).toThrow(/"features\.0\.weigh\." matches no layer/);
  });

  it.each(['head', 'head=', 'head= ', ' =2', '=2', 'head=Infinity', 'head=-1', 'head=0', 'head=x', 'head=1,'])(
    'refuse %s',
    (source) => {
      expect(() => parseMultipliers(source)).toThrow(/\(learningRateMultipliers\)/);
    },
  );
});
