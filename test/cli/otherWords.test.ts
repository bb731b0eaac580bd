import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { inOurTerms, type KnownVerb, type VerbFlags } from '../../src/cli/otherWords.js';
import { drawPictures } from '../../src/data/pictures.js';
import { parsePolicy } from '../../src/policy/policy.js';
import { SMALL_CNN } from '../models.js';
import { cli, cliHere, expectRefusal, folder } from './cli.js';

const verb = (usage: string, names: string[], switches: string[] = [], lists: string[] = []): KnownVerb => {
  const flags: VerbFlags = {
    names: new Set([...names, ...switches, ...lists]),
    switches: new Set(switches),
    lists: new Set(lists),
  };
  return { usage, flags: () => Promise.resolve(flags) };
};
const VERBS = [
  verb(
    'train',
    ['model', 'data', 'out', 'epochs', 'lr', 'batch', 'size', 'class-weights', 'resume', 'policy', 'patience'],
    ['tensorboard', 'overwrite', 'help'],
  ),
  verb('predict [photos..]', ['model', 'top'], ['csv'], ['photos']),
  verb('eval', ['model', 'data', 'split']),
  verb('bench <suite>', ['out'], [], ['model']),
  verb('measure', ['energy']),
  verb('export <run>', ['precision', 'format']),
  verb('models <action> [names..]', []),
  verb('demo', ['epochs']),
];

describe('words that people try become ours:', () => {
  it.each([
    ['', '--help'],
    ['-h', '--help'],
    ['help', '--help'],
    ['help train', 'train --help'],
    ['help val', 'eval --help'],
    ['version', '--version'],
    ['train -h', 'train --help'],
    ['val --model m.onnx --data photos', 'eval --model m.onnx --data photos'],
    ['validate', 'eval'],
    ['fit --data photos', 'train --data photos'],
    ['train data=photos epochs=10 model=m.onnx', 'train --data=photos --epochs=10 --model=m.onnx'],
    ['train data=photos imgsz=96 lr0=0.01 batch=8', 'train --data=photos --size=96 --lr=0.01 --batch=8'],
    ['train batch_size=8 tensorboard=True', 'train --batch=8 --tensorboard=true'],
    ['train --imgsz 96 --lr0 0.1 --batch-size 8', 'train --size 96 --lr 0.1 --batch 8'],
    ['train --batch_size=8 --weights m.onnx', 'train --batch=8 --model m.onnx'],
    ['train --exist-ok', 'train --overwrite'],
    ['train photos', 'train --data=photos'],
    ['train photos/ --epochs 3', 'train --data=photos/ --epochs 3'],
    ['train --tensorboard photos', 'train --tensorboard --data=photos'],
    ['train m.onnx photos', 'train --model=m.onnx --data=photos'],
    ['eval photos --model m.onnx', 'eval --data=photos --model m.onnx'],
    ['predict --model m.onnx --source some.jpg', 'predict --model m.onnx some.jpg'],
    ['predict model=m.onnx source=photos', 'predict --model=m.onnx photos'],
    ['eval --source photos', 'eval --data photos'],
    ['export runs/first --precision float16', 'export runs/first --precision fp16'],
    ['export runs/first precision=half', 'export runs/first --precision=fp16'],
    [
      'export runs/first --precision=q8 --format transformers.js',
      'export runs/first --precision=int8 --format transformers-js',
    ],
    ['models list', 'models ls'],
    ['models download half', 'models pull half'],
    ['models remove list', 'models rm list'],
  ])('ort-tl %s', async (given, ours) => {
    expect((await inOurTerms(given.split(' ').filter(Boolean), VERBS)).join(' ')).toBe(ours);
  });

  it.each([
    // Values of a flag, whatever they look like.
    'train --class-weights data=2,model=1 --data photos',
    'bench suite.yaml --model a=b c=d --out x',
    'train --lr -1',
    // What is given already is not given again.
    'train --data photos extra',
    'train data photos',
    'train --resume runs/first extra',
    'predict --model m.onnx name.with=sign.jpg -',
    'measure --energy none -- train imgsz=3',
    'measure --frobnicate',
    'train --no-tensorboard --help',
    '--get-yargs-completions ort-tl train --imgsz',
  ])('and others stay: ort-tl %s', async (given) => {
    const words = given.split(' ');
    const expected = given === 'train data photos' ? ['train', '--data=data', 'photos'] : words;
    expect(await inOurTerms(words, VERBS)).toEqual(expected);
  });

  it('leaves a photo whose name looks like a setting', async () => {
    const at = folder();
    const path = join(at, 'top=3');
    writeFileSync(path, '');
    const here = process.cwd();
    process.chdir(at);
    try {
      expect(await inOurTerms(['predict', 'top=3'], VERBS)).toEqual(['predict', 'top=3']);
    } finally {
      process.chdir(here);
    }
  });
});

describe('or are answered in one line, with exit code 2:', () => {
  let at: string;
  beforeAll(async () => {
    at = folder();
    await drawPictures(join(at, 'pictures'), { set: 'demo', trainPerClass: 2, valPerClass: 1, size: 32, seed: 1 });
  });

  const train = ['train', '--model', SMALL_CNN, '--data', 'pictures'];
  it.each<[string, readonly string[], RegExp]>([
    ['--freeze 10', train, /no --freeze here: --policy says what trains/],
    ['freeze=10', train, /no --freeze here: --policy says what trains/],
    ['--lora-rank 8', train, /no --lora-rank here: --policy lora:8 trains adapters/],
    ['--augment', train, /no --augment here: .*--flip 0\.5/],
    ['--device 0', train, /no --device here: --provider .*cuda/],
    ['--pretrained', train, /no --pretrained here: every training starts from a pretrained network; --model/],
    ['--half', ['export', 'runs/first'], /no --half here: --precision fp16/],
    ['--workers 8', train, /no --workers here: .*--threads/],
    ['--name first', train, /no --name here: --out names the folder/],
    ['--project runs', train, /no --project here: --out names the folder/],
    ['--patience 3', ['demo'], /demo has no --patience, which is of ort-tl train/],
    ['--epoch 3', train, /train has no --epoch; did you mean --epochs\?/],
    ['epoch=3', train, /train has no --epoch; did you mean --epochs\?/],
    ['--polcy F1C0', train, /did you mean --policy\?/],
    ['--frobnicate', train, /no `--frobnicate` here; see ort-tl train --help/],
    ['', ['trian'], /no `trian` here; did you mean ort-tl train\?/],
    ['', ['help', 'trian'], /did you mean ort-tl train\?/],
    ['', ['pictures'], /no `pictures` here; did you mean ort-tl train --data pictures\?/],
    ['--policy heads', train, /a policy such as F1C0/],
  ])('%s', async (flags, before, message) => {
    const entries = readdirSync(at);
    expectRefusal(await cliHere([...before, ...flags.split(' ').filter(Boolean)], at), message);
    expect(readdirSync(at)).toEqual(entries);
    expect(existsSync(join(at, 'runs'))).toBe(false);
  });

  it('counts a setting without dashes beside --resume as one with dashes', async () => {
    expectRefusal(await cliHere(['train', 'resume=pictures', 'lr=0.1'], at), /leave out --lr/);
  });
});

it('shows the help for no words, for help, and for help on a verb', () => {
  for (const [args, text] of [
    [[], /ort-tl <command>/],
    [['help'], /ort-tl <command>/],
    [['help', 'train'], /--val-fraction/],
  ] as const) {
    const { status, stdout } = cli(args);
    expect(stdout).toMatch(text);
    expect(status).toBe(0);
  }
});

it('reads head, last and all as policies, and keeps what they are called here', async () => {
  expect(parsePolicy('head')).toEqual(parsePolicy('F1C0'));
  expect(parsePolicy('Last')).toEqual(parsePolicy('F1C1'));
  expect(parsePolicy('all')).toEqual(parsePolicy('full'));
  const { readTrainFlags } = await import('../../src/train/trainOptions.js');
  expect(readTrainFlags({ policy: 'head' }).policy).toBe('F1C0');
  expect(readTrainFlags({ policy: 'ALL' }).policy).toBe('full');
  expect(readTrainFlags({}).policy).toBe('F1C1');
});
