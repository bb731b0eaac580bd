import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { drawPictures } from '../../src/data/pictures.js';
import { SMALL_CNN } from '../models.js';
import { cliHere, expectRefusal, folder } from './cli.js';

describe('arguments that make no sense get one clear line and exit code 2, and nothing is written:', () => {
  let at: string;
  beforeAll(async () => {
    at = folder();
    await drawPictures(join(at, 'pictures'), { set: 'demo', trainPerClass: 3, valPerClass: 1, size: 32, seed: 1 });
    writeFileSync(join(at, 'typo.yaml'), '# ours\nepochs: 3\nlearning-rate: 0.1\n');
    writeFileSync(join(at, 'near.yaml'), 'schedule: cosine\n\nweight_decay: 0.1\n');
    writeFileSync(join(at, 'value.yaml'), 'epochs: many\n');
    writeFileSync(join(at, 'switch.yaml'), 'epochs: 3\ntensorboard: maybe\n');
    writeFileSync(join(at, 'no-switch.yaml'), 'flip: true\n');
    writeFileSync(join(at, 'broken.yaml'), 'epochs: 3\nlr: [0.1\n');
    writeFileSync(join(at, 'list.yaml'), '- epochs\n');
  });

  const train = ['train', '--model', SMALL_CNN, '--data', 'pictures'];
  const compile = ['compile', '--model', SMALL_CNN];
  it.each<[string, readonly string[], RegExp]>([
    ['--epochs -1', train, /a whole number from 1 up, got `-1` \(--epochs\)/],
    ['--epochs 1.5', train, /a whole number from 1 up, got `1\.5` \(--epochs\)/],
    ['--epochs', train, /a value after --epochs/],
    ['--epochs=', train, /--epochs/],
    ['--val-fraction 2', train, /a share between 0 and 1, got `2` \(--val-fraction\)/],
    ['--val-fraction 0', train, /a share between 0 and 1, got `0` \(--val-fraction\)/],
    ['--policy F1D1', train, /a policy such as F1C0.*got "F1D1" \(--policy\)/],
    ['--policy F0C0', train, /a policy such as F1C0.*\(--policy\)/],
    ['--out=', train, /a value after --out/],
    ['--views 2', train, /an augmentation, such as --flip 0\.5, .* beside `2` \(--views\)/],
    ['--views -2 --mixup 0.2', train, /a whole number from 0 up, got `-2` \(--views\)/],
    ['--mixup -1', train, /a number from 0 up, got `-1` \(--mixup\)/],
    ['--flip 2', train, /a number from 0 to 1, got `2` \(--flip\)/],
    ['--hue 0.7', train, /a number from 0 to 0\.5, got `0\.7` \(--hue\)/],
    ['--rotate 400', train, /a number from 0 to 180, got `400` \(--rotate\)/],
    ['--random-crop 0', train, /a number from 0\.01 to 1, got `0` \(--random-crop\)/],
    ['--rand-augment 31', train, /a number from 0 to 30, got `31` \(--rand-augment\)/],
    ['--rand-augment 9 --rand-augment-operations 1.5', train, /a whole number from 1 to 14, got `1\.5`/],
    ['--rand-augment-operations 2', train, /--rand-augment beside --rand-augment-operations/],
    ['--warmup 11', train, /a part of the 10 epochs, 0 or more, got `11` \(--warmup\)/],
    ['--lr fast', train, /a positive number or auto, got `fast` \(--lr\)/],
    ['--epochs=ten', train, /a whole number from 1 up, got `ten` \(--epochs\)/],
    ['--label-smoothing 0,1', train, /got `0,1` \(--label-smoothing\)/],
    ['--policy lora:8:x', train, /a policy such as lora:8, lora:8:16 with alpha, .*got "lora:8:x" \(--policy\)/],
    ['--lr 0', train, /a positive number or auto, got `0` \(--lr\)/],
    ['--metric top2', train, /one of "top1", .*, got "top2" \(--metric\)/],
    ['--schedule cosin', train, /one of "cosine", .*, got "cosin" \(--schedule\)/],
    ['--provider gpu', train, /one of "cpu", .*, got "gpu" \(--provider\)/],
    ['--patience 0', train, /a whole number from 1 up, got `0` \(--patience\)/],
    ['--time-limit soon', train, /a duration such as 90s, 10m or 1\.5h, got `soon` \(--time-limit\)/],
    ['--threads 100000', train, /a whole number from 0 to 1024, got `100000` \(--threads\)/],
    ['--batch 0', train, /a whole number from 1 up, got `0` \(--batch\)/],
    ['--ema -1', train, /got `-1` \(--ema\)/],
    ['--max-bad 2', train, /a share from 0 to 1, got `2` \(--max-bad\)/],
    ['--verify -1', train, /a whole number from 0 up, got `-1` \(--verify\)/],
    ['--seed 0.5', train, /a whole number from 0 up, got `0\.5` \(--seed\)/],
    ['--json=maybe', train, /true or false, got `maybe` \(--json\)/],
    [
      '--class-weights boat=0,cup=0,fish=0,flower=0,house=0,tree=0',
      train,
      /a class that weighs more than 0.*\(--class-weights\)/,
    ],
    ['--optimizer sgd --beta1 0.9', train, /sgd has no --beta1/],
    ['extra', train, /there is no `extra` here/],
    ['-- --epochs 3', train, /there is no .*--epochs/],
    ['--resume pictures --lr 0.1', train, /goes on with the settings that it was begun with; leave out --lr/],
    ['--resume pictures', ['train'], /pictures holds no run: there is no args\.yaml in it \(--resume\)/],
    ['--resume nowhere --json', ['train'], /nowhere holds no run/],
    ['--resume pictures --overwrite', ['train'], /leave out --overwrite/],
    ['', ['train'], /expected --data, a folder of photos/],
    ['--model smal_cnn', ['train', '--data', 'pictures'], /no model `smal_cnn`.*did you mean small_cnn\?/],
    ['--model hf:nobody', ['train', '--data', 'pictures'], /expected hf:owner\/repository.*got `hf:nobody`/],
    ['--config typo.yaml', train, /typo\.yaml, line 3: there is no setting `learning-rate`; did you mean `/],
    [
      '--config near.yaml',
      train,
      /near\.yaml, line 3: there is no setting `weight_decay`; did you mean `weight-decay`\?/,
    ],
    ['--config value.yaml', train, /a whole number from 1 up, got `\w+` \(--epochs\)/],
    ['--config switch.yaml', train, /switch\.yaml, line 2: expected true or false for `tensorboard`, got `maybe`/],
    ['--config no-switch.yaml', train, /line 1: expected a number or a word for `flip`, got `true`/],
    ['--config broken.yaml', train, /broken\.yaml, line [23]: not YAML/],
    ['--config list.yaml', train, /list\.yaml, line 1: expected settings such as `epochs: 20`/],
    ['--config none.yaml', train, /cannot read .*none\.yaml: ENOENT: no such file or directory \(--config\)/],
    ['--model pictures', ['train', '--data', 'pictures'], /pictures is a folder; expected an ONNX file/],
    [
      '--data typo.yaml',
      ['train', '--model', SMALL_CNN],
      /typo\.yaml: `names` is missing or wrong; expected names, and train and val with the folders/,
    ],
    [
      '--data nowhere',
      ['train', '--model', SMALL_CNN],
      /cannot open the folder nowhere: ENOENT.*one folder for each class/,
    ],
    ['', compile, /expected the classes: --classes cat,dog, or --data/],
    ['--classes cat', compile, /two classes or more, got 1/],
    ['--classes cat,cat', compile, /each class once, got `cat,cat` \(--classes\)/],
    ['--classes cat,dog --data pictures', compile, /expected --classes or --data, not both/],
    ['--classes cat,dog --targets hard', compile, /one of "labels", "soft", got "hard" \(--targets\)/],
    ['--classes cat,dog --class-weights cat=0,dog=0', compile, /a class that weighs more than 0/],
    ['pictures --model hf:a/b/c.txt', ['predict'], /expected hf:owner\/repository/],
    ['', ['predict', '--model', SMALL_CNN], /expected photos, as in: ort-tl predict/],
    [
      'net.onnx some.jpg',
      ['predict'],
      /net\.onnx is a model, not a photo; .*: ort-tl predict --model net\.onnx some\.jpg/,
    ],
    ['net.ORT', ['explain'], /net\.ORT is a model, not a photo; .*: ort-tl explain --model net\.ORT some\.jpg/],
    ['a.jpg --top 0', ['predict', '--model', SMALL_CNN], /a whole number from 1 up, got `0` \(--top\)/],
    ['a.jpg --csv --json', ['predict', '--model', SMALL_CNN], /--csv or --json, not both/],
    ['*.jpg', ['predict', '--model', SMALL_CNN], /nothing matches \*\.jpg/],
    ['a.jpg', ['predict', '--model', SMALL_CNN], /cannot read a\.jpg: ENOENT: no such file or directory/],
    ['--data pictures --val-fraction 2', ['eval', '--model', SMALL_CNN], /between 0 and 1, got `2` \(--val-fraction\)/],
    ['--data pictures --split some', ['eval', '--model', SMALL_CNN], /one of "val", .*, got "some" \(--split\)/],
    ['--data pictures', ['eval', '--model', SMALL_CNN], /the model knows no class "boat" of pictures/],
    ['', ['models'], /expected <action>, as in: ort-tl models <action> \[names\.\.\]$/m],
    ['', ['models', 'pull'], /expected a name, as in: ort-tl models pull resnet-18/],
    ['small_cnn', ['models', 'ls'], /names are for pull, path and rm/],
    ['small_cnn', ['models', 'rm'], /small_cnn comes with ort-tl.*nothing was removed/],
    ['', ['cache'], /expected <action>, as in: ort-tl cache <action> \[names\.\.\]$/m],
    ['burn', ['cache'], /expected one of "ls", "rm", "prune", "merge", got "burn" \(<action>\)$/m],
    ['--classes 1', ['inspect', SMALL_CNN], /a whole number from 2 up, got `1` \(--classes\)/],
    ['--epochs 0', ['demo'], /a whole number from 1 up, got `0` \(--epochs\)/],
    ['now', ['doctor'], /there is no `now` here/],
    ['', ['trian'], /did you mean ort-tl train\?/],
    ['', ['frobnicate'], /there is no `frobnicate` here/],
  ])('%s', async (flags, before, message) => {
    const entries = readdirSync(at);
    const words = flags.split(' ').filter((word) => word !== '');
    expectRefusal(await cliHere([...before, ...words], at), message);
    expect(readdirSync(at)).toEqual(entries);
    expect(existsSync(join(at, 'runs'))).toBe(false);
  });
});
