import { Builder } from '../graph/builder.js';
import { modelOfGraph } from '../graph/proto.js';
import { encodeModel } from '../onnx/model.js';
import * as ort from './ort.js';
import { openBytes, runResults } from './partSessions.js';
import type { Shapes } from './trainingMemory.js';

const READ = '/read';
/** Any that has Identity. */
const OPSET = 17;

/**
 * Copies state out of a device's memory. onnxruntime-node 1.30 ends the process where `getData` is called of such a tensor ("not implemented"),
 * so a session takes it and gives it.
 */
export class StateReader {
  private session: ort.InferenceSession | undefined;

  constructor(
    private readonly shapes: Shapes,
    private readonly options: ort.InferenceSession.SessionOptions,
  ) {}

  /** @throws UserError `not-loadable`, `not-runnable`. */
  async read(state: ReadonlyMap<string, ort.Tensor>): Promise<ReadonlyMap<string, Float32Array<ArrayBuffer>>> {
    const values = new Map([...this.shapes.keys()].map((name) => [name, valueOf(state, name)]));
    if ([...values.values()].every(({ location }) => location === 'cpu'))
      return new Map([...values].map(([name, { data }]) => [name, Float32Array.from(data as Float32Array)]));
    this.session ??= await this.open();
    const results = await runResults('the state', this.session, Object.fromEntries(values));
    return new Map(
      [...this.shapes.keys()].map((name) => [name, results[name + READ]?.data as Float32Array<ArrayBuffer>]),
    );
  }

  async close(): Promise<void> {
    await this.session?.release();
  }

  private open(): Promise<ort.InferenceSession> {
    const g = new Builder(OPSET);
    for (const [name, shape] of this.shapes) g.output(name + READ, g.input(name, 'float32', shape));
    return openBytes(encodeModel(modelOfGraph(g.graph, 'state')), 'the state', this.options);
  }
}

function valueOf(state: ReadonlyMap<string, ort.Tensor>, name: string): ort.Tensor {
  const value = state.get(name);
  if (!value) throw new Error(`nothing is kept of "${name}"`);
  return value;
}
