// Opens a session on the provider that the first argument names, in a process of its own: some providers write to the
// terminal, or end the process, where their drivers are missing. Exit code 0 tells that it ran.
import * as ort from './ort.js';
import { Builder } from '../graph/builder.js';
import { modelOfGraph } from '../graph/proto.js';
import { encodeModel } from '../onnx/model.js';

const g = new Builder(18);
g.output('y', g.relu(g.input('x', 'float32', [4])));
const provider = process.argv[2] ?? 'cpu';
const session = await ort.openSession(encodeModel(modelOfGraph(g.graph, 'probe')), {
  executionProviders: [provider],
  ...ort.SESSION_OPTIONS,
});
const { y } = await session.run({ x: new ort.Tensor('float32', Float32Array.of(-1, 0, 1, 2), [4]) });
process.exit(String(y?.data) === '0,0,1,2' ? 0 : 1);
