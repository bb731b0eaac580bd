import { readFileSync } from 'node:fs';
import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { differentiate } from '../../src/autodiff/gradient.js';
import { BLOCKED } from '../../src/graph/domains.js';
import { rules } from '../../src/autodiff/registry.js';
import { Builder } from '../../src/graph/builder.js';
import { concreteShape } from '../../src/graph/graph.js';
import { modelOfGraph } from '../../src/graph/proto.js';
import { encodeModel } from '../../src/onnx/model.js';
import { elementCount, floatTensor, intTensor, tensor, type Tensor } from '../../src/onnx/tensor.js';

const numbers = z.array(z.number());
const attribute = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('int'), value: z.number() }),
  z.object({ kind: z.literal('float'), value: z.number() }),
  z.object({ kind: z.literal('string'), value: z.string() }),
  z.object({ kind: z.literal('ints'), value: numbers }),
]);
const drawnInput = z.object({ shape: numbers });
const constantInput = z.object({ dtype: z.enum(['int64', 'float32', 'bool']), shape: numbers, values: numbers });
const caseSchema = z.object({
  op: z.string(),
  domain: z.string().default(''),
  what: z.string().default(''),
  opset: z.number(),
  attributes: z.record(z.string(), attribute),
  /** Drawn inputs lie between this and 1. */
  low: z.number().default(-1),
  inputs: z.array(z.union([constantInput, drawnInput, z.null()])),
  outputs: z.array(z.object({ shape: numbers, values: numbers })),
  /** One for each drawn input. */
  gradients: z.array(numbers),
});
type Case = z.infer<typeof caseSchema>;

/** What make_gradients.py, beside the file, computed in float64. */
const { cases } = z
  .object({ cases: z.array(caseSchema) })
  .parse(JSON.parse(readFileSync(new URL('../fixtures/pytorch/gradients.json', import.meta.url), 'utf8')));

/**
 * Rules that no value of PyTorch is there for yet, as `domain:op`, and why. Who has PyTorch adds a case to make_gradients.py and
 * takes the line out.
 */
const WITHOUT_PYTORCH: Readonly<Record<string, string>> = {};

describe('every rule has a case, or is listed as missing', () => {
  const covered = new Set(cases.map(({ op, domain }) => `${domain}:${op}`));
  // The blocked layout's rules are held against the standard ones, in blocked.test.ts.
  const names = rules.map(({ op, domain = '' }) => `${domain}:${op}`);
  it.each(names.filter((name) => !name.startsWith(BLOCKED)))('%s', (name) => {
    const isListed = name in WITHOUT_PYTORCH;
    expect(
      covered.has(name),
      isListed ? 'the case is there: take it out of WITHOUT_PYTORCH' : 'a case, or a line in WITHOUT_PYTORCH',
    ).toBe(!isListed);
  });
  it('lists no rule that is not there', () => {
    expect(names).toEqual(expect.arrayContaining(Object.keys(WITHOUT_PYTORCH)));
  });
});

describe('results and gradients agree with PyTorch', () => {
  it.each(cases.map((each) => [each.op, each.what, each] as const))('%s: %s', async (_, __, each) => {
    const results = await run(each);
    each.outputs.forEach(({ values }, index) => expectClose(`y${index}`, results[`y${index}`], values));
    each.gradients.forEach((values, index) => expectClose(`d${index}`, results[`d${index}`], values));
  });
});

describe('gradients of convolutions for a GPU agree with PyTorch', () => {
  const convolutions = cases.filter(({ op, domain }) => op === 'Conv' && domain === '');
  it.each(convolutions.map((each) => [each.what, each] as const))('%s', async (_, each) => {
    const results = await run(each, true);
    each.gradients.forEach((values, index) => expectClose(`d${index}`, results[`d${index}`], values));
  });
});

/** Runs a case's node and the gradients of Σ y · dy for the drawn inputs: outputs y0, y1, … and d0, d1, …. */
async function run(each: Case, isForGpu = false): Promise<ort.InferenceSession.ReturnType> {
  const draw = drawing();
  const g = new Builder(each.opset, undefined, isForGpu);
  const feeds: Record<string, ort.Tensor> = {};
  const inputs = each.inputs.map((input, index) => {
    if (!input) return undefined;
    if ('values' in input) return g.constant(`c${index}`, constantOf(input));
    const { low } = each;
    const data = draw(elementCount(input.shape)).map((value) => (value * (1 - low)) / 2 + (1 + low) / 2);
    feeds[`x${index}`] = new ort.Tensor('float32', Float32Array.from(data), input.shape);
    return g.input(`x${index}`, 'float32', input.shape);
  });
  const drawn = inputs.flatMap((input) => (input && !input.constant ? [input] : []));
  const ys = g.ops(each.op, inputs, each.outputs.length, each.attributes, { domain: each.domain });
  const loss = ys
    .map((y) => {
      const dy = g.constant('dy', floatTensor(concreteShape(y), draw(elementCount(concreteShape(y)))));
      return g.reduceSum(g.mul(y, dy), undefined, false);
    })
    .reduce((sum, term) => g.add(sum, term));
  const gradients = differentiate(g, [...g.graph.nodes], loss, drawn);
  ys.forEach((y, index) => g.output(`y${index}`, y));
  drawn.forEach((input, index) => {
    const gradient = gradients.get(input);
    if (gradient) g.output(`d${index}`, gradient);
  });
  expect(ys.map(({ shape }) => shape)).toEqual(each.outputs.map(({ shape }) => shape));
  const session = await ort.InferenceSession.create(encodeModel(modelOfGraph(g.graph, 'test')), {
    logSeverityLevel: 3,
    intraOpNumThreads: 1,
  });
  const results = await session.run(feeds);
  await session.release();
  return results;
}

/** The generator that make_gradients.py describes. */
function drawing(): (count: number) => number[] {
  let state = 1;
  return (count) =>
    Array.from({ length: count }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return (state >>> 12) / 2 ** 19 - 1;
    });
}

function constantOf({ dtype, shape, values }: z.infer<typeof constantInput>): Tensor {
  switch (dtype) {
    case 'int64':
      return intTensor(shape, values);
    case 'float32':
      return floatTensor(shape, values);
    case 'bool':
      return tensor('bool', shape, Uint8Array.from(values));
  }
}

/** Within 1e-4 of the largest element. */
function expectClose(name: string, actual: ort.Tensor | undefined, expected: readonly number[]): void {
  const got = Array.from(actual?.data ?? [], Number);
  expect(got).toHaveLength(expected.length);
  const scale = Math.max(...expected.map(Math.abs), 0.1);
  expected.forEach((value, index) => {
    const difference = Math.abs((got[index] ?? NaN) - value) / scale;
    expect(difference, `${name}[${index}]: ${got[index] ?? NaN}, PyTorch has ${value}`).toBeLessThan(1e-4);
  });
}
