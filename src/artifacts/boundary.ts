import { areaOf, type Rows } from '../graph/rows.js';
import type { Cut } from '../graph/cut.js';
import { bindShape, int, ints, Node, type Shape, Value } from '../graph/graph.js';
import type { Builder } from '../graph/builder.js';
import { dtypeCode, intTensor } from '../onnx/tensor.js';

/** A value that the frozen part hands over, and the form in which it does. */
export interface Kept {
  /** The value in the source model. */
  readonly source: Value;
  /** The value in the form in which it is kept: in rows where the trained part works so, in float16 where that was asked for. */
  readonly value: Value;
  /** What makes one of the other, on the frozen side. */
  readonly nodes: readonly Node[];
}

/** The form in which the boundary of `cut` is kept. */
export function keptBoundary({ boundary }: Cut, rows: Rows, dtype: 'float32' | 'float16'): Kept[] {
  return boundary.map((source) => {
    const nodes: Node[] = [];
    const append = (op: string, inputs: Value[], attributes: Node['attributes'], output: Value): Value => {
      nodes.push(new Node({ op, name: output.name, inputs, outputs: [output], attributes }));
      return output;
    };
    let value = source;
    if (rows.has(source)) {
      const [images = 1, channels = 1, height = 1, width = 1] = source.shape ?? [];
      const last: Shape = [images, height, width, channels];
      const moved = new Value(`${source.name}/channels_last`, 'float32', last);
      append('Transpose', [source], new Map([['perm', ints([0, 2, 3, 1])]]), moved);
      const shape = new Value(`${source.name}/rows_shape`, 'int64', [3]);
      shape.constant = intTensor([3], [0, areaOf(source) ?? 0, bindShape([channels], 1)[0] ?? 0]);
      value = new Value(`${source.name}/rows`, 'float32', [images, areaOf(source) ?? 0, channels]);
      append('Reshape', [moved, shape], new Map(), value);
    }
    if (dtype === 'float16' && value.dtype === 'float32') {
      const half = new Value(`${value.name}/float16`, 'float16', value.shape);
      value = append('Cast', [value], new Map([['to', int(dtypeCode('float16'))]]), half);
    }
    return { source, value, nodes };
  });
}

/** What stands for the source's value in a graph that is given the kept one, `given`. */
export function fromKept(g: Builder, { source, value }: Kept, given: Value): Value {
  return value.dtype === source.dtype ? given : g.cast(given, dtypeCode(source.dtype ?? 'float32'));
}
