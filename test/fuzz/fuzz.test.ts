import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { compile } from '../../src/artifacts/compile.js';
import { NodeProtoSchema } from '../../src/onnx/onnx_pb.js';
import { fuzz } from './fuzz.js';
import { tinyModel } from './tinyModel.js';

describe('a damaged model file', () => {
  it('gives training graphs or one clear error, and never a crash, a hang or a gigabyte of memory', async () => {
    // `npm run fuzz` takes five thousand; another seed than its default adds to them.
    const { outcomes, failures } = await fuzz('damaged', 20, 400);
    expect(failures).toEqual([]);
    // The cases get as deep as they should: some compile, some of these train, some are refused in every part.
    for (const outcome of ['ok', 'trained', 'not-onnx', 'bad-model', 'cyclic-graph', 'no-gradient-rule'])
      expect(outcomes.get(outcome)).toBeGreaterThan(0);
  });
});

describe('a sound model as exporters leave it', () => {
  it('is one function in all that is made of it, or is refused with the reason', async () => {
    // `npm run fuzz -- --kind odd --count 2000` takes more.
    const { outcomes, failures } = await fuzz('odd', 20, 150);
    expect(failures).toEqual([]);
    expect([...outcomes.keys()].filter((outcome) => outcome !== 'same' && outcome !== 'bad-policy')).toEqual([]);
    expect(outcomes.get('same')).toBeGreaterThan(120);
  });
});

describe('a model of ten thousand operators', () => {
  it.each([
    ['before the last convolution', 'last', 'full'],
    ['in a squeeze-excite gate', 'reduce', 'F1C1'],
    ['in the head', 'fc1', 'F1C1'],
  ])('%s compiles, for no step of it is quadratic', (_, reader, policy) => {
    const proto = tinyModel();
    const nodes = proto.graph?.node ?? [];
    const node = nodes.find(({ name }) => name === reader);
    if (!node) throw new Error(`no node ${reader}`);
    const names = [node.input[0] ?? '', ...Array.from({ length: 10_000 }, (_, index) => `relu${index}`)];
    const chain = names
      .slice(1)
      .map((name, index) => create(NodeProtoSchema, { opType: 'Relu', input: [names[index] ?? ''], output: [name] }));
    nodes.splice(nodes.indexOf(node), 0, ...chain);
    node.input[0] = names.at(-1) ?? '';
    const compiled = compile(
      { path: 'long.onnx', sha256: '', proto },
      {
        policy,
        classes: ['a', 'b'],
        batch: 2,
        preprocessing: ([height, width]) => ({ height, width, resize: 'crop', mean: [0, 0, 0], std: [1, 1, 1] }),
      },
    );
    expect(compiled.manifest.policy).toBe(policy);
  });
});
