import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { METADATA } from '../../src/artifacts/manifest.js';
import { Builder } from '../../src/graph/builder.js';
import { modelOfGraph } from '../../src/graph/proto.js';
import { setMetadata, writeModel } from '../../src/onnx/model.js';
import { floatTensor } from '../../src/onnx/tensor.js';
import { cli, expectRefusal, folder } from './cli.js';

/** Tells red from blue: a convolution of one pixel, the average of its maps, and a layer that leaves them as they are. */
let model: string;
/** PNGs of one colour each. */
const photos: Partial<Record<'red' | 'green' | 'blue', Buffer>> = {};

beforeAll(async () => {
  const g = new Builder(18);
  const x = g.input('x', 'float32', [{ batch: 1 }, 3, 8, 8]);
  const map = g.relu(g.conv(x, g.constant('w', floatTensor([2, 3, 1, 1], [1, 0, 0, 0, 0, 1])), {}));
  const pooled = g.op('Flatten', [g.op('GlobalAveragePool', [map])]);
  g.output('logits', g.gemm(pooled, g.constant('fc', floatTensor([2, 2], [1, 0, 0, 1])), { transB: true }));
  const proto = modelOfGraph(g.graph, 'test');
  const preprocessing = { width: 8, height: 8, resize: 'squash', mean: [0, 0, 0], std: [1, 1, 1] };
  setMetadata(
    proto,
    new Map([
      [METADATA.labels, JSON.stringify(['red', 'blue'])],
      [METADATA.preprocessing, JSON.stringify(preprocessing)],
    ]),
  );
  model = join(folder(), 'model.onnx');
  await writeModel(proto, model);
  for (const background of ['red', 'green', 'blue'] as const)
    photos[background] = await sharp({ create: { width: 8, height: 8, channels: 3, background } })
      .png()
      .toBuffer();
});

/** A folder with the files. */
function folderWith(files: Readonly<Record<string, Buffer | string | undefined>>): string {
  const at = folder();
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(at, name, '..'), { recursive: true });
    writeFileSync(join(at, name), content ?? '');
  }
  return at;
}

describe('explain', () => {
  it('goes on after a photo that cannot be read, names it, and ends with exit code 2', () => {
    const at = folderWith({ 'a.jpg': '<!doctype html><p>404</p>', 'b.png': photos.blue, 'c.png': photos.red });
    const plain = cli(['explain', '--model', model, 'a.jpg', 'b.png', 'c.png', '--out', 'out'], at);
    expectRefusal(plain, /cannot read a\.jpg: it is a web page \(HTML\), not a photo/);
    expect(plain.stdout).toBe(
      `b.png  blue  ${join('out', 'b.explained.png')}\nc.png  red  ${join('out', 'c.explained.png')}\n`,
    );
    expect(readdirSync(join(at, 'out')).sort()).toEqual(['b.explained.png', 'c.explained.png']);

    const json = cli(['explain', '--model', model, 'a.jpg', 'b.png', '--out', 'out', '--json'], at);
    expect(json.status).toBe(2);
    expect(JSON.parse(json.stdout)).toEqual([
      { file: 'a.jpg', error: expect.stringContaining('is a web page') as string },
      { file: 'b.png', label: 'blue', picture: join('out', 'b.explained.png') },
    ]);
  });

  it('stops at once for a class that the model does not know', () => {
    const at = folderWith({ 'a.png': photos.red, 'b.png': photos.blue });
    expectRefusal(cli(['explain', '--model', model, 'a.png', 'b.png', '--class', 'cat'], at), /knows no class `cat`/);
  });

  it('writes over its own pictures, and over no other file', () => {
    const at = folderWith({ 'a.png': photos.red, 'a.explained.png': photos.blue, 'b.png': photos.red });
    const refused = cli(['explain', '--model', model, 'a.png', 'b.png'], at);
    expectRefusal(refused, /holds a\.explained\.png, which a picture would replace and ort-tl did not write/);
    expect(readdirSync(at).sort()).toEqual(['a.explained.png', 'a.png', 'b.png']);
    expect(readFileSync(join(at, 'a.explained.png'))).toEqual(photos.blue);
    for (let time = 0; time < 2; time++)
      expect(cli(['explain', '--model', model, 'b.png'], at)).toMatchObject({ status: 0 });
  });

  it('writes a picture for each of several photos of one name, and over none of them', async () => {
    const at = folderWith({
      'a.png': photos.red,
      'x/a.png': photos.green,
      'a-2.png': photos.blue,
      'z/a.PNG': photos.green,
      'y/A.png': photos.blue,
      'b.png': photos.red,
      'b.explained.png': photos.blue,
    });
    const words = ['a.png', 'x/a.png', 'a-2.png', 'z/a.PNG', 'y/A.png', 'b.png', 'b.explained.png', 'b.png'];
    const { status, stdout } = cli(['explain', '--model', model, ...words, '--class', 'blue', '--json'], at);
    expect(status).toBe(0);
    const results = JSON.parse(stdout) as { file: string; picture: string }[];
    expect(results.map(({ file }) => file)).toEqual(words);
    const pictures = results.map(({ picture }) => picture);
    // On a disk that heeds no case too.
    expect(new Set(pictures.map((path) => path.toLowerCase())).size).toBe(words.length);
    // Who comes first keeps the plain name, and so does who has it alone.
    expect(pictures[0]).toBe('a.explained.png');
    expect(pictures[2]).toBe('a-2.explained.png');
    expect(pictures[6]).toBe('b.explained.explained.png');
    // The photo that was there is as it was.
    expect(readFileSync(join(at, 'b.explained.png'))).toEqual(photos.blue);
    // Where there is no blue there is no heat: each picture shows its own photo.
    for (const [index, name] of [
      [0, 'red'],
      [1, 'green'],
      [3, 'green'],
      [5, 'red'],
    ] as const) {
      const [r, g, b] = await sharp(join(at, pictures[index] ?? ''))
        .raw()
        .toBuffer();
      expect([r, g, b], pictures[index]).toEqual(name === 'red' ? [255, 0, 0] : [0, 128, 0]);
    }
  });
});
