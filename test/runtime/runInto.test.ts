import * as ort from 'onnxruntime-node';
import { expect, it } from 'vitest';
import { Builder } from '../../src/graph/builder.js';
import { modelOfGraph } from '../../src/graph/proto.js';
import { encodeModel } from '../../src/onnx/model.js';
import { runInto } from '../../src/runtime/runInto.js';

it('writes results where they are wanted, and gives back the copies that the binding makes of them', async () => {
  const g = new Builder(17);
  // As large as it has to be for this to be worth while.
  const count = 2 ** 15;
  g.output('y', g.add(g.input('x', 'float32', [count]), g.scalar(1)));
  const session = await ort.InferenceSession.create(encodeModel(modelOfGraph(g.graph, 'one more')));
  const returned: ort.Tensor[] = [];
  const watched = {
    run: async (feeds: Record<string, ort.Tensor>, fetches: Record<string, ort.Tensor>) => {
      const results = await session.run(feeds, fetches);
      returned.push(...Object.values(results));
      return results;
    },
  };
  const y = new Float32Array(count);
  const feeds = { x: new ort.Tensor('float32', new Float32Array(count).fill(2), [count]) };
  await runInto(watched, { feeds, fetches: { y: new ort.Tensor('float32', y, [count]) } });
  expect(y.every((value) => value === 3)).toBe(true);
  for (const { data } of returned) expect(data === y || data.length === 0).toBe(true);
  expect(returned).toHaveLength(1);
  await session.release();
});
