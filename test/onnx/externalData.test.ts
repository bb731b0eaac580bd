import { create } from '@bufbuild/protobuf';
import { mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { externalLocations } from '../../src/onnx/externalLocations.js';
import { encodeModel, readModel } from '../../src/onnx/model.js';
import { AttributeProtoSchema, GraphProtoSchema, type TensorProto, TensorProtoSchema } from '../../src/onnx/onnx_pb.js';
import { tensorsOf } from '../../src/onnx/tensorsOf.js';
import { changed, node, soundModel } from '../plain/oddModels.js';

const external = (name: string, location: string, offset: number): TensorProto =>
  create(TensorProtoSchema, {
    name,
    dims: [2n],
    dataType: 1,
    dataLocation: 1,
    externalData: [
      { key: 'location', value: location },
      { key: 'offset', value: String(offset) },
      { key: 'length', value: '8' },
    ],
  });

const constant = (name: string, t: TensorProto) =>
  node('Constant', [], [name], [create(AttributeProtoSchema, { name: 'value', type: 4, t })]);

/** The sound model with constants that lie in a file, one of them in a branch. */
const model = (location: string) =>
  changed(soundModel(), (graph) => {
    const branch = (name: string) =>
      create(AttributeProtoSchema, {
        name,
        type: 5,
        g: create(GraphProtoSchema, {
          name,
          node: [constant('within', external('within', location, 8))],
          output: [{ name: 'within' }],
        }),
      });
    graph.node.push(
      constant('beside', external('beside', location, 0)),
      node('If', ['condition'], ['either'], [branch('then_branch'), branch('else_branch')]),
    );
  });

const bytes = new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer);
const folder = () => mkdtempSync(join(tmpdir(), 'ort-tl-'));

function valuesOf(path: string): number[][] {
  return tensorsOf(readModel(path).proto)
    .filter(({ name }) => name === 'beside' || name === 'within')
    .map(({ rawData }) => [...new Float32Array(rawData.slice().buffer)]);
}

describe('tensors in a file beside the model', () => {
  it('are read where Constant nodes hold them, in branches too', () => {
    const path = join(folder(), 'm.onnx');
    writeFileSync(path, encodeModel(model('m.data')));
    writeFileSync(join(path, '..', 'm.data'), bytes);
    expect(valuesOf(path)).toEqual([
      [1, 2],
      [3, 4],
      [3, 4],
    ]);
    expect(readModel(path).externalFiles).toEqual([join(path, '..', 'm.data')]);
    expect(externalLocations(path, 'm.onnx')).toEqual(['m.data']);
  });

  it('are read through the links of a cache of Hugging Face, and of any folder where model and data lie together', () => {
    const root = folder();
    for (const [snapshot, blobs] of [
      [join(root, 'models--x--y', 'snapshots', 'main', 'onnx'), join(root, 'models--x--y', 'blobs')],
      [join(root, 'links'), join(root, 'files')],
    ] as const) {
      mkdirSync(snapshot, { recursive: true });
      mkdirSync(blobs, { recursive: true });
      writeFileSync(join(blobs, 'aaa'), encodeModel(model('m.onnx_data')));
      writeFileSync(join(blobs, 'bbb'), bytes);
      symlinkSync(join(blobs, 'aaa'), join(snapshot, 'm.onnx'));
      symlinkSync(join(blobs, 'bbb'), join(snapshot, 'm.onnx_data'));
      expect(valuesOf(join(snapshot, 'm.onnx'))[0]).toEqual([1, 2]);
    }
  });

  it('are not read through a link to elsewhere', () => {
    const [here, elsewhere] = [folder(), folder()];
    writeFileSync(join(here, 'm.onnx'), encodeModel(model('m.data')));
    writeFileSync(join(elsewhere, 'secret'), bytes);
    symlinkSync(join(elsewhere, 'secret'), join(here, 'm.data'));
    expect(() => readModel(join(here, 'm.onnx'))).toThrow(/a link out of the model's folder/);
  });
});

it.each([
  ['\x18\x00\x00\x00ORTM', /is a model in ONNX Runtime's own format.*not an ONNX model; take the ONNX file/],
  ['\x1c\x00\x00\x00TFL3', /TensorFlow Lite/],
  ['PK\x03\x04\x14\x00', /an archive/],
  ['version https://git-lfs.github.com/spec/v1', /git lfs pull/],
  ['<!DOCTYPE html><html>', /a web page/],
])('a file that begins with %j is refused by what it is', (text, message) => {
  const path = join(folder(), 'm.onnx');
  writeFileSync(path, Buffer.from(text, 'latin1'));
  expect(() => readModel(path)).toThrow(message);
});
