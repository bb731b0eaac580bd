import * as ort from 'onnxruntime-node';
import { expect } from 'vitest';
import { differentiate } from '../../src/autodiff/gradient.js';
import { Builder } from '../../src/graph/builder.js';
import { concreteShape, type Value } from '../../src/graph/graph.js';
import { modelOfGraph } from '../../src/graph/proto.js';
import { encodeModel } from '../../src/onnx/model.js';
import { elementCount, floatTensor } from '../../src/onnx/tensor.js';
import { Random } from '../../src/random.js';

/** Builds y from inputs of these shapes. */
export interface Case {
  readonly op: string;
  readonly what: string;
  readonly shapes: readonly (readonly number[])[];
  readonly build: (g: Builder, inputs: readonly Value[]) => Value;
  /** Values from `from` up to 1; default from −1. */
  readonly from?: number;
  /** Of the graph; default 18. */
  readonly opset?: number;
  /** Whether gradients take the forms that a GPU gets; default no. */
  readonly isForGpu?: boolean;
}

type Build = (g: Builder, a: Value, b: Value, c: Value) => Value;
/** A case whose builder names up to three inputs. */
export function one(
  op: string,
  what: string,
  shapes: readonly (readonly number[])[],
  build: Build,
  from?: number,
  opset?: number,
): Case {
  return {
    op,
    what,
    shapes,
    build: (g, [a, b = a, c = a]) => (a && b && c ? build(g, a, b, c) : g.scalar(0)),
    ...(from === undefined ? {} : { from }),
    ...(opset === undefined ? {} : { opset }),
  };
}

/** Checks the gradients of a case's inputs against central finite differences, run by ONNX Runtime. */
export async function checkGradients({ shapes, build, from = -1, opset = 18, isForGpu }: Case): Promise<void> {
  const random = new Random(7);
  const draw = (count: number) => Float32Array.from({ length: count }, () => from + (1 - from) * random.next());
  const data = shapes.map((shape) => draw(elementCount(shape)));

  // loss = Σ y · r for random r, so that every element of y counts for itself.
  const g = new Builder(opset, undefined, isForGpu);
  const inputs = shapes.map((shape, index) => g.input(`x${index}`, 'float32', shape));
  const y = build(g, inputs);
  const r = g.constant('r', floatTensor(concreteShape(y), draw(elementCount(concreteShape(y)))));
  const loss = g.reduceSum(g.mul(y, r), undefined, false);
  const gradients = differentiate(g, [...g.graph.nodes], loss, inputs);
  g.output('loss', loss);
  inputs.forEach((input, index) => {
    const gradient = gradients.get(input);
    if (gradient) g.output(`d${index}`, gradient);
  });
  const session = await ort.InferenceSession.create(encodeModel(modelOfGraph(g.graph, 'test')), {
    logSeverityLevel: 3,
    intraOpNumThreads: 1,
  });
  const run = (values: readonly Float32Array[]) =>
    session.run(
      Object.fromEntries(values.map((value, index) => [`x${index}`, new ort.Tensor('float32', value, shapes[index])])),
    );

  const results = await run(data);
  for (const [index, values] of data.entries()) {
    const gradient = results[`d${index}`]?.data as Float32Array;
    const scale = Math.max(...gradient.map(Math.abs), 0.1);
    // Small enough that no maximum, bound or sign changes on the way; large enough for float32 sums.
    const h = 2e-3;
    for (let element = 0; element < values.length; element += Math.ceil(values.length / 24)) {
      const at = async (shift: number) => {
        const moved = data.map((each) => each.slice());
        const target = moved[index];
        if (target) target[element] = (values[element] ?? 0) + shift;
        return ((await run(moved))['loss']?.data as Float32Array)[0] ?? NaN;
      };
      const difference = ((await at(h)) - (await at(-h))) / (2 * h);
      expect(
        Math.abs(difference - (gradient[element] ?? NaN)) / scale,
        `d${index}[${element}]: ${gradient[element] ?? NaN}, not ${difference}`,
      ).toBeLessThan(2e-2);
    }
  }
  await session.release();
}
