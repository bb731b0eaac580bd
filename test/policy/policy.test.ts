import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { classifierOf } from '../../src/artifacts/prepare.js';
import { UserError } from '../../src/errors.js';
import { readModel } from '../../src/onnx/model.js';
import { findBlocks } from '../../src/policy/blocks.js';
import type { LayerChoice } from '../../src/policy/layerChoice.js';
import { chooseLayers, parsePolicy, policyFileName, showPolicy } from '../../src/policy/policy.js';
import { EFFICIENTNET_B0, SMALL_CNN, TINY_MBCONV, TINY_RESNET } from '../models.js';

describe('parsePolicy', () => {
  it.each([
    'F1C0',
    'F1C1',
    'F2C3',
    'F12C34',
    'FxC1',
    'full',
    'bias',
    'blocks:12',
    'layers:conv4',
    'layers:/A/*,b?.bias',
  ])('reads %s and shows it again', (source) => {
    expect(showPolicy(parsePolicy(source))).toBe(source);
  });

  it('does not mind the case, but of the names of layers', () => {
    expect(parsePolicy('f1c2')).toEqual({ kind: 'last', fcs: 1, convs: 2 });
    expect(parsePolicy('FXC1')).toEqual({ kind: 'last', fcs: 'all', convs: 1 });
    expect(parsePolicy('Full')).toEqual({ kind: 'full' });
    expect(parsePolicy('Blocks:3')).toEqual({ kind: 'blocks', count: 3 });
    expect(parsePolicy('Layers:Conv4, FC1')).toEqual({ kind: 'layers', globs: ['Conv4', 'FC1'] });
  });

  it.each([
    '',
    'F0C1',
    'C1',
    'F1',
    'F1C',
    'F-1C1',
    'F1C1 ',
    'every',
    'blocks',
    'blocks:0',
    'blocks:-1',
    'layers:',
    'layers:a,,b',
  ])('refuses "%s"', (source) => {
    expect(() => parsePolicy(source)).toThrow(UserError);
  });

  it('has a name for files that every file system takes', () => {
    expect(policyFileName('F1C2')).toBe('F1C2');
    expect(policyFileName('blocks:2')).toBe('blocks-2');
    expect(policyFileName('layers:/conv4/*,fc?.bias')).toMatch(/^[\w.-]+$/);
  });
});

function choose(path: string, policy: string): LayerChoice {
  const { graph, layers } = classifierOf(readModel(path));
  return chooseLayers(parsePolicy(policy), layers, findBlocks(graph, layers));
}
const parametersOf = ({ layers }: LayerChoice) =>
  layers.flatMap(({ parameters }) => parameters.map(({ name }) => name));

describe('bias', () => {
  it('trains the biases of convolutions that have no normalization, and the head', () => {
    const choice = choose(SMALL_CNN, 'bias');
    expect(parametersOf(choice)).toEqual([
      'conv1.bias',
      'conv2.bias',
      'conv3.bias',
      'conv4.bias',
      'fc1.bias',
      'fc2.weight',
      'fc2.bias',
    ]);
    expect(choice.notes).toEqual(['the head "fc2" trains wholly too: its weights are new']);
  });

  it('trains the shift of a normalization where there is one, and the biases of gates', () => {
    const choice = choose(TINY_MBCONV, 'bias');
    expect(parametersOf(choice)).toContain('blocks.1.depthwise.1.bias');
    expect(parametersOf(choice)).toContain('blocks.1.gate.reduce.bias');
    expect(parametersOf(choice).filter((name) => name.endsWith('weight'))).toEqual(['fc.weight']);
    expect(choice.warnings).toEqual([]);
  });
});

describe('layers:<globs>', () => {
  it('trains whole layers by their names, and the head, which it says', () => {
    const choice = choose(TINY_RESNET, 'layers:*/downsample/*,*/blocks.0/second/*');
    expect(parametersOf(choice)).toEqual([
      'blocks.0.second.0.weight',
      'blocks.0.second.1.weight',
      'blocks.0.second.1.bias',
      'blocks.1.downsample.0.weight',
      'blocks.1.downsample.1.weight',
      'blocks.1.downsample.1.bias',
      'fc.weight',
      'fc.bias',
    ]);
    expect(choice.notes).toHaveLength(1);
    expect(choose(TINY_RESNET, 'layers:/fc/Gemm').notes).toEqual([]);
  });

  it('trains single parameters by theirs, but the head wholly', () => {
    expect(parametersOf(choose(SMALL_CNN, 'layers:conv?.bias'))).toHaveLength(4 + 2);
    expect(parametersOf(choose(SMALL_CNN, 'layers:fc2.bias'))).toEqual(['fc2.weight', 'fc2.bias']);
  });

  it('takes no dot or bracket for a pattern', () => {
    expect(() => choose(SMALL_CNN, 'layers:conv4.bia[s]')).toThrow(UserError);
    expect(() => choose(SMALL_CNN, 'layers:conv4xbias')).toThrow(UserError);
  });

  it('refuses a glob that fits nothing, and names what is near', () => {
    expect(() => choose(SMALL_CNN, 'layers:conv4,cnov3')).toThrow(/called "cnov3"; near it are .*"conv3"/);
    expect(() => choose(TINY_MBCONV, 'layers:*/projekt/*')).toThrow(/near it are .*project/);
  });
});

describe('blocks:<n>', () => {
  it('trains whole blocks with their gates, and all layers behind them', () => {
    const names = choose(TINY_MBCONV, 'blocks:1').layers.map(({ name }) => name);
    expect(names).toEqual([
      '/blocks/blocks.2/expand/expand.0/Conv',
      '/blocks/blocks.2/depthwise/depthwise.0/Conv',
      '/blocks/blocks.2/gate/reduce/Conv',
      '/blocks/blocks.2/gate/expand/Conv',
      '/blocks/blocks.2/project/project.0/Conv',
      '/head/head.0/Conv',
      '/fc/Gemm',
    ]);
    expect(choose(TINY_MBCONV, 'blocks:2').layers).toHaveLength(5 + names.length);
  });

  it('takes the convolution on the shortcut along', () => {
    expect(choose(TINY_RESNET, 'blocks:1').layers.map(({ name }) => name)).toEqual([
      '/blocks/blocks.1/first/first.0/Conv',
      '/blocks/blocks.1/second/second.0/Conv',
      '/blocks/blocks.1/downsample/downsample.0/Conv',
      '/fc/Gemm',
    ]);
  });

  it('refuses more blocks than there are, and a network without any', () => {
    expect(() => choose(TINY_RESNET, 'blocks:3')).toThrow(/the model has 2; choose blocks:2 or full/);
    expect(() => choose(SMALL_CNN, 'blocks:1')).toThrow(/no shortcut.*F1C1/);
  });
});

describe('a policy that cuts a block', () => {
  it.each([
    ['F1C1', 'blocks:1 trains it wholly, F1C3 too'],
    ['F1C2', 'blocks:1 trains it wholly, F1C3 too'],
    ['FxC4', 'blocks:2 trains it wholly, FxC5 too'],
  ])('is warned of, with the policy that does not: %s', (policy, advice) => {
    const { warnings } = choose(TINY_RESNET, policy);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(advice);
    expect(warnings[0]).toContain(`policy ${policy} trains a part of block`);
  });

  it('is warned of when the layers are named, too', () => {
    expect(choose(TINY_RESNET, 'layers:*first*').warnings.join()).toContain('blocks:2 trains it wholly');
  });

  it('is told that counting leaves gates out', () => {
    expect(choose(TINY_MBCONV, 'F1C2').warnings.join()).toContain('blocks:1 trains it wholly, F1C4 its convolutions');
  });

  it.each([
    [TINY_RESNET, ['F1C0', 'F1C3', 'F1C5', 'F1C6', 'blocks:1', 'bias', 'full']],
    [TINY_MBCONV, ['F1C0', 'F1C1', 'F1C4', 'F1C7', 'F1C10', 'F1C11', 'blocks:3', 'bias', 'full']],
    [SMALL_CNN, ['F1C1', 'F1C2', 'F2C4']],
  ])('is not what others are: %s', (path, policies) => {
    for (const policy of policies) expect(choose(path, policy).warnings, policy).toEqual([]);
  });

  it.skipIf(!existsSync(EFFICIENTNET_B0))(
    'is not F1C1 of EfficientNet, whose last convolution is in no block (skipped where the file is missing)',
    () => {
      expect(choose(EFFICIENTNET_B0, 'F1C1').warnings).toEqual([]);
      expect(choose(EFFICIENTNET_B0, 'F1C2').warnings.join()).toContain('blocks:1');
    },
  );
});
