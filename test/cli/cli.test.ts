import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadArtifacts } from '../../src/artifacts/load.js';
import { drawPictures } from '../../src/data/pictures.js';
import { SMALL_CNN, TINY_RESNET } from '../models.js';
import { cliHere, cli as cliOf, expectRefusal, folder, main } from './cli.js';

const cli = (...args: string[]) => cliOf(args);

describe('ort-tl', () => {
  let pictures: string;
  beforeAll(async () => {
    pictures = join(folder(), 'pictures');
    await drawPictures(pictures, { set: 'demo', trainPerClass: 10, valPerClass: 5, size: 48, seed: 1 });
  });

  it('warns of a cut block in one line beside the result, and in the result', () => {
    const out = folder();
    const compiled = [
      'compile',
      '--model',
      TINY_RESNET,
      '--classes',
      'cat,dog',
      '--out',
      out,
      '--preprocessing',
      'unit',
    ];
    const { status, stdout, stderr } = cli(...compiled, '--policy', 'F1C1', '--json');
    expect(status).toBe(0);
    expect(stderr).toMatch(/^warning: policy F1C1 trains a part of block 1 [^\n]*blocks:1[^\n]*\n$/);
    expect((JSON.parse(stdout) as { warnings: string[] }).warnings).toHaveLength(1);
    expect(cli('inspect', TINY_RESNET, '--policy', 'F1C1').stderr).toBe(stderr);
    expect(cli(...compiled, '--policy', 'blocks:1').stderr).toBe('');
  });

  it('says that a new head trains wholly, and refuses a head that cannot be', async () => {
    const model = ['--model', SMALL_CNN, '--classes', 'cat,dog', '--out', folder()];
    expect(cli('compile', ...model, '--policy', 'bias').stdout).toContain('the head "fc2" trains wholly');
    expect(cli('compile', ...model, '--head').stdout).toMatch(/policy F1C1/);
    expect(cli('compile', ...model, '--hidden', '64,32', '--dropout', '0.2', '--bn', 'frozen').status).toBe(0);
    for (const flags of [
      ['--hidden', '64,x'],
      ['--hidden', '0'],
      ['--hidden', '64,'],
      ['--dropout', '1'],
      ['--dropout', '-0.1'],
      ['--bn', 'both'],
      ['--policy', 'layers:nothing*'],
      ['--policy', 'blocks:1'],
    ]) {
      const { status, stderr } = await cliHere(['compile', ...model, ...flags]);
      expect(status, flags.join(' ')).toBe(2);
      expect(stderr.trim().split('\n'), flags.join(' ')).toHaveLength(1);
    }
  });

  it('shows help with examples for each verb, and its version', () => {
    const help = cli('--help').stdout;
    expect(help).toContain('Exit codes');
    const verbs = [...help.matchAll(/^ {2}ort-tl ([a-z-]+)/gm)].map(([, verb = '']) => verb);
    expect(verbs).toContain('train');
    for (const verb of verbs.filter((each) => each !== 'completion')) {
      const { status, stdout } = cli(verb, '--help');
      expect(status).toBe(0);
      expect(stdout, verb).toContain('Examples:');
    }
    expect(cli('--version').stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it('goes on with a run whose photos were named from the folder it was begun in', () => {
    const cwd = folder();
    cpSync(pictures, join(cwd, 'photos'), { recursive: true });
    const inside = (...args: string[]) =>
      spawnSync(process.execPath, [main, 'train', ...args], { encoding: 'utf8', cwd, timeout: 100_000 });
    const flags = ['--model', SMALL_CNN, '--data', 'photos', '--epochs', '2', '--policy', 'F1C0', '--threads', '2'];
    expect(inside(...flags, '--out', 'whole').status).toBe(0);
    // The first part takes one step.
    expect(inside(...flags, '--time-limit', '1ms', '--out', 'parts').stdout).toContain('stopped: the time is up');
    const resumed = inside('--resume', 'parts', '--time-limit', 'none');
    expect(resumed.stderr).toBe('');
    expect(resumed.status).toBe(0);
    const model = readFileSync(join(cwd, 'parts', 'model.onnx'));
    expect(model.equals(readFileSync(join(cwd, 'whole', 'model.onnx')))).toBe(true);
  });

  it('ends without a word when whoever reads its output has closed it', () => {
    const command = `"${process.execPath}" "${main}" inspect "${SMALL_CNN}" | true`;
    const { status, stderr } = spawnSync('bash', ['-o', 'pipefail', '-c', command], { encoding: 'utf8' });
    expect(stderr).toBe('');
    expect(status).toBe(141);
  });

  it('trains, and predicts with the model that it exported', () => {
    const out = join(folder(), 'run');
    const trained = cli(
      'train',
      '--model',
      SMALL_CNN,
      '--data',
      pictures,
      '--policy',
      'F1C1',
      '--epochs',
      '2',
      '--out',
      out,
      '--json',
    );
    expect(trained.stderr).toBe('');
    expect(trained.status).toBe(0);
    expect(JSON.parse(trained.stdout)).toEqual(JSON.parse(readFileSync(join(out, 'summary.json'), 'utf8')));

    const photo = join(pictures, 'val', 'boat', '0000.jpg');
    const predicted = cli('predict', '--model', join(out, 'model.onnx'), photo, photo, '--top', '2', '--json');
    expect(predicted.status).toBe(0);
    const results = JSON.parse(predicted.stdout) as {
      file: string;
      classes: { label: string; probability: number }[];
    }[];
    expect(results.map(({ file }) => file)).toEqual([photo, photo]);
    expect(results[0]?.classes).toHaveLength(2);
    expect(results[0]?.classes).toEqual(results[1]?.classes);
    const model = ['--model', join(out, 'model.onnx')];
    expect(cli('predict', ...model, photo).stdout).toMatch(/0000\.jpg {2}\w+ \d+\.\d %\n$/);

    // A folder, a glob, paths and a photo through standard input give the same.
    const boats = join(pictures, 'val', 'boat');
    const csv = cli('predict', ...model, boats, '--csv').stdout;
    expect(csv.trim().split('\n')).toHaveLength(6);
    expect(csv).toMatch(/^file,class1,probability1\n.*0000\.jpg,\w+,0\.\d{6}\n/);
    expect(cli('predict', ...model, join(boats, '*.jpg'), '--csv').stdout).toBe(csv);
    const paths = spawnSync(process.execPath, [main, 'predict', ...model, '-', '--csv'], {
      encoding: 'utf8',
      input: readdirSync(boats)
        .map((name) => `${join(boats, name)}\n`)
        .join(''),
    });
    expect(paths.stdout).toBe(csv);
    const bytes = spawnSync(process.execPath, [main, 'predict', ...model, '-', '--csv'], {
      encoding: 'utf8',
      input: readFileSync(photo),
    });
    expect(bytes.stdout.split('\n')[1]).toBe(csv.split('\n')[1]?.replace(photo, '-'));

    // What eval finds is what the training found.
    const evaluated = JSON.parse(cli('eval', ...model, '--data', pictures, '--json').stdout) as { top1: number };
    expect(evaluated.top1).toBe((JSON.parse(trained.stdout) as { top1: number }).top1);
    expect(cli('eval', ...model, '--data', pictures).stdout).toMatch(
      /^30 photos: top-1 .*\n\nclass +photos +precision/,
    );
    expect(cli('eval', ...model, '--data', pictures, '--split', 'train', '--json').stdout).toContain('"photos": 60');

    const explained = cli('explain', ...model, photo, photo, '--out', out);
    expect(explained.status).toBe(0);
    expect(readdirSync(out)).toEqual(expect.arrayContaining(['0000.explained.png', '0000-2.explained.png']));
  });

  it('compiles what the flags of a step and of the loss say', () => {
    const out = join(folder(), 'artifacts');
    const flags =
      '--optimizer sgd --momentum 0.8 --nesterov --weight-decay 0.001 --batch 10 --accumulate 3 --clip-norm 1 --ema 0.99 --lr-mult head=10,conv4.*=0.5 --class-weights cat=2 --focal-gamma 2 --targets soft';
    const { status, stdout } = cli(
      'compile',
      '--model',
      SMALL_CNN,
      '--classes',
      'cat,dog',
      '--out',
      out,
      '--json',
      ...flags.split(' '),
    );
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      batch: 10,
      microBatch: 4,
      targets: 'soft',
      classWeights: [2, 1],
      focalGamma: 2,
      optimizer: { name: 'sgd', momentum: 0.8, nesterov: true, weightDecay: 0.001 },
      clipNorm: 1,
      averageDecay: 0.99,
      parameters: [
        { name: 'conv4.weight', learningRateMultiplier: 0.5, decays: true },
        { name: 'conv4.bias', learningRateMultiplier: 0.5, decays: false },
        { name: 'fc2.weight', learningRateMultiplier: 10, decays: true },
        { name: 'fc2.bias', learningRateMultiplier: 10, decays: false },
      ],
    });
    expect(loadArtifacts(out).state.has('fc2.weight/average')).toBe(true);
  });

  it('inspects a model and a policy', () => {
    const { status, stdout } = cli('inspect', SMALL_CNN, '--policy', 'F1C1');
    expect(status).toBe(0);
    expect(stdout).toMatch(/trained +C1 +Conv 3×3 +conv4 +128×8×8 +147,584 +9,437,184/);
    expect(stdout).toContain('policy F1C1: 150,564 parameters train, 27.5 %');
  });

  it('tells what the machine offers', () => {
    const { status, stdout } = cli('doctor', '--json');
    expect(status).toBe(0);
    const report = JSON.parse(stdout) as { providers: { name: string; available: boolean; needs: string }[] };
    expect(report.providers[0]).toMatchObject({ name: 'cpu', available: true });
    expect(cli('doctor').stdout).toMatch(/provider dml +does not run: it needs Windows|provider dml +runs/);
  });

  it('prints a script that completes its commands', () => {
    const { status, stdout } = cli('completion');
    expect(status).toBe(0);
    expect(stdout).toContain('complete -o bashdefault');
    expect(cli('--get-yargs-completions', 'ort-tl', 'tr').stdout).toContain('train');
  });

  it('begins a run again that was stopped before its first checkpoint', () => {
    const out = join(folder(), 'run');
    const flags = ['--model', SMALL_CNN, '--data', pictures, '--policy', 'F1C0', '--epochs', '1', '--out', out];
    expect(cli('train', ...flags, '--quiet').status).toBe(0);
    rmSync(join(out, 'last'), { recursive: true });
    expect(cli('train', '--resume', out, '--quiet').status).toBe(0);
    expect(readdirSync(out)).toContain('last');
    const refused = cli('train', '--resume', out, '--epochs', '3');
    expect(refused.status).toBe(2);
    expect(refused.stderr).toMatch(/leave out --epochs, or begin a new run with --config/);
  });

  it('takes settings from a file, and flags before them', () => {
    const at = folder();
    const settings = join(at, 'ours.yaml');
    writeFileSync(settings, `model: ${SMALL_CNN}\ndata: ${pictures}\npolicy: F1C0\nepochs: 3\n`);
    const trained = cli('train', '--config', settings, '--epochs', '1', '--out', join(at, 'run'), '--json');
    expect(JSON.parse(trained.stdout)).toMatchObject({ policy: 'F1C0', epochs: 1 });
    writeFileSync(settings, 'epochs: 3\npolicey: F1C0\n');
    const refused = cli('train', '--model', SMALL_CNN, '--data', pictures, '--config', settings);
    expect(refused.status).toBe(2);
    expect(refused.stderr).toMatch(
      /^ort-tl: .*ours\.yaml, line 2: there is no setting `policey`; did you mean `policy`\? \(--config\)\n$/,
    );
  });

  describe('answers bad input with one clear line and exit code 2', () => {
    const text = (content: string | Uint8Array, name = 'model.onnx') => {
      const path = join(folder(), name);
      writeFileSync(path, content);
      return path;
    };
    const train = (flag: string, value: string) => {
      const flags = new Map([
        ['--model', SMALL_CNN],
        ['--data', pictures],
        [flag, value],
      ]);
      return ['train', ...[...flags].flat()];
    };
    const oneClass = () => {
      const data = folder();
      cpSync(join(pictures, 'train', 'boat'), join(data, 'boat'), { recursive: true });
      return data;
    };
    const spoiled = () => {
      const data = join(folder(), 'pictures');
      cpSync(pictures, data, { recursive: true });
      for (let index = 0; index < 10; index++)
        writeFileSync(join(data, 'train', 'boat', `000${index}.jpg`), 'no picture');
      return data;
    };
    const empty = () => {
      const data = join(folder(), 'empty');
      mkdirSync(data);
      return data;
    };

    it.each<[string, () => string[], RegExp]>([
      [
        'a model that is cut off',
        () => ['inspect', text(readFileSync(SMALL_CNN).subarray(0, 100_000))],
        /not a whole ONNX model/,
      ],
      ['a model that is a text', () => ['inspect', text('hello')], /not a whole ONNX model/],
      [
        'a model that is a photo',
        () => ['inspect', join(pictures, 'val', 'boat', '0000.jpg')],
        /not a whole ONNX model/,
      ],
      ['a model that is missing', () => ['inspect', 'no.onnx'], /no model at no\.onnx/],
      ['a folder without photos', () => train('--data', empty()), /photo/],
      ['a folder that is missing', () => train('--data', 'no-such-folder'), /no-such-folder/],
      ['one class', () => train('--data', oneClass()), /class/],
      ['photos that are text', () => train('--data', spoiled()), /5 of 90 photos could not be read.*--max-bad/],
      ['more layers than there are', () => train('--policy', 'F1C9'), /has 2 and 4; choose F1C4/],
      ['a policy that is none', () => train('--policy', 'C1F1'), /expected a policy such as F1C0/],
      ['a learning rate below zero', () => train('--lr', '-0.1'), /positive number or auto, got `-0.1` \(--lr\)/],
      [
        'a flag that takes a number',
        () => train('--epochs', 'ten'),
        /expected a whole number from 1 up, got `ten` \(--epochs\)/,
      ],
      ['a size that the model does not take', () => train('--size', '64'), /takes images of 32×32 pixels.*--size/],
      ['an optimizer that is none', () => train('--optimizer', 'adagrad'), /adagrad/],
      ['a setting that the optimizer has not', () => train('--momentum', '0.9'), /adamw has no --momentum/],
      ['a decay below zero', () => train('--weight-decay', '-1'), /a number from 0 up, got `-1` \(--weight-decay\)/],
      ['a norm below zero', () => train('--clip-norm', '-1'), /a number from 0 up, got `-1` \(--clip-norm\)/],
      ['an average that never changes', () => train('--ema', '1'), /not including, 1, got `1` \(--ema\)/],
      ['more parts than images', () => train('--accumulate', '33'), /no more parts than --batch 32, got `33`/],
      [
        'a multiplier of no layer',
        () => train('--lr-mult', 'conv9*=2'),
        /"conv9\*" matches no layer.*conv4.*--lr-mult/,
      ],
      ['a multiplier without a factor', () => train('--lr-mult', 'head'), /a name and a factor above 0.*--lr-mult/],
      ['a weight for no class', () => train('--class-weights', 'bird=2'), /such as boat=2, got `bird=2`/],
      ['a gamma below zero', () => train('--focal-gamma', '-1'), /a number from 0 up, got `-1` \(--focal-gamma\)/],
      ['a smoothing that is all', () => train('--label-smoothing', '1'), /--label-smoothing/],
      [
        'balanced classes without photos',
        () => ['compile', '--model', SMALL_CNN, '--classes', 'a,b', '--class-weights', 'balanced'],
        /--data/,
      ],
      ['a flag given twice', () => [...train('--seed', '1'), '--seed', '2'], /--seed is given more than once/],
      ['a flag that is none', () => train('--epoch', '3'), /epoch/],
      ['a verb that is none', () => ['trian'], /train/],
      ['no classes', () => ['compile', '--model', SMALL_CNN], /--classes/],
      [
        'a model without labels',
        () => ['predict', '--model', SMALL_CNN.replace('small_cnn.onnx', 'none.onnx'), 'a.jpg'],
        /no model at/,
      ],
      ['a folder that cannot be written', () => train('--out', join(text('', 'file'), 'run')), /cannot write/],
    ])('%s', async (_, args, message) => {
      expectRefusal(await cliHere(args()), message);
    });

    it('in a process of its own too', () => {
      expectRefusal(cli('inspect', 'no.onnx'), /no model at no\.onnx/);
    });
  });

  it('names the photo that it cannot read, and classifies the others', () => {
    const out = join(folder(), 'run');
    expect(
      cli(
        'train',
        '--model',
        SMALL_CNN,
        '--data',
        pictures,
        '--policy',
        'F1C0',
        '--epochs',
        '1',
        '--out',
        out,
        '--quiet',
      ).status,
    ).toBe(0);
    const bad = join(out, 'bad.jpg');
    writeFileSync(bad, 'no picture');
    const { status, stdout, stderr } = cli(
      'predict',
      '--model',
      join(out, 'model.onnx'),
      bad,
      join(pictures, 'val', 'cup', '0000.jpg'),
    );
    expect(status).toBe(2);
    expect(stderr).toContain('bad.jpg');
    expect(stdout.trim().split('\n')).toHaveLength(1);
    rmSync(out, { recursive: true });
  });
});
