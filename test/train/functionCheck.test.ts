import { create } from '@bufbuild/protobuf';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { compile } from '../../src/artifacts/compile.js';
import { Builder } from '../../src/graph/builder.js';
import { int } from '../../src/graph/graph.js';
import { modelOfGraph } from '../../src/graph/proto.js';
import { type ModelFile, readModel, writeModel } from '../../src/onnx/model.js';
import { AttributeProtoSchema, NodeProtoSchema } from '../../src/onnx/onnx_pb.js';
import { floats, floatTensor } from '../../src/onnx/tensor.js';
import { Random } from '../../src/random.js';
import { checkFunction } from '../../src/train/functionCheck.js';
import { folder } from '../cli/cli.js';
import { SMALL_CNN } from '../models.js';

/** A model that takes the mean of all images of a run away. */
async function mixingModel(): Promise<ModelFile> {
  const g = new Builder(18);
  const random = new Random(3);
  const weight = (name: string, dims: readonly number[]) =>
    g.constant(
      name,
      floatTensor(
        dims,
        Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => random.normal()),
      ),
    );
  const image = g.input('image', 'float32', [{ batch: 1 }, 3, 16, 16]);
  const mean = g.reduceMean(image, [0, 1, 2, 3], true);
  const x = g.relu(g.op('Conv', [g.sub(image, mean), weight('conv.weight', [8, 3, 3, 3])], {}, { name: 'conv' }));
  const pooled = g.op('Flatten', [g.op('GlobalAveragePool', [x], {}, { name: 'pool' })], { axis: int(1) });
  g.output('logits', g.op('Gemm', [pooled, weight('fc.weight', [6, 8])], { transB: int(1) }, { name: 'fc' }));
  const path = join(folder(), 'model.onnx');
  await writeModel(modelOfGraph(g.graph, 'batch'), path);
  return readModel(path);
}

const classes = ['a', 'b', 'c'];

it.each(['F1C0', 'F1C1', 'full', 'bias'])('what is compiled by %s is the function of the model', async (policy) => {
  const model = readModel(SMALL_CNN);
  const options = { policy, classes, preprocessing: 'unit' } as const;
  await checkFunction(model, compile(model, options), 1);
  await checkFunction(model, compile(model, { ...options, boundaryDtype: 'float16', hidden: [8] }), 1);
});

it('what is compiled of another model is another function, on one image and on several', async () => {
  const model = readModel(SMALL_CNN);
  const compiled = compile(model, { policy: 'F1C1', classes, preprocessing: 'unit' });
  const frozen = compiled.frozen?.graph?.initializer.find(({ dims }) => dims.length === 4);
  if (!frozen) throw new Error('no frozen convolution');
  frozen.rawData = frozen.rawData.map((byte, at) => (at % 4 === 3 ? byte ^ 0x80 : byte));
  await expect(checkFunction(model, compiled, 1)).rejects.toMatchObject({ code: 'other-function' });
});

it.each(['Softmax', 'LogSoftmax'])(
  'a model that ends in %s is compiled as the function of its logits',
  async (opType) => {
    const model = readModel(SMALL_CNN);
    const { graph } = model.proto;
    const [output] = graph?.output ?? [];
    if (!graph || !output) throw new Error('no output');
    const attribute = [create(AttributeProtoSchema, { name: 'axis', type: 2, i: 1n })];
    const end = { name: 'end', opType, input: [output.name], output: ['shares'], attribute };
    graph.node.push(create(NodeProtoSchema, end));
    output.name = 'shares';
    await checkFunction(model, compile(model, { policy: 'F1C1', classes, preprocessing: 'unit' }), 1);
  },
);

it('a change in the last digits is rounding', async () => {
  const model = readModel(SMALL_CNN);
  const compiled = compile(model, { policy: 'F1C1', classes, preprocessing: 'unit' });
  for (const tensor of compiled.state.values()) {
    const numbers = floats(tensor);
    numbers.forEach((number, at) => (numbers[at] = number * (1 + 2 ** -23)));
  }
  await checkFunction(model, compiled, 1);
});

it('a model that takes the mean of all images of a run is compiled as what it does with one', async () => {
  const model = await mixingModel();
  await checkFunction(model, compile(model, { policy: 'F1C0', classes, preprocessing: 'unit' }), 1);
});
