import { create } from '@bufbuild/protobuf';
import { type GraphProto, type ModelProto, type NodeProto, NodeProtoSchema } from '../onnx/onnx_pb.js';
import type { TensorProto } from '../onnx/onnx_pb.js';
import { copyOfModel } from '../onnx/sharing.js';

/** What there is to say of what was changed. */
export interface Told {
  readonly notes: readonly string[];
  readonly warnings: readonly string[];
}

/** A model on its way to its plain form. It is copied when something changes it, not before. */
export class Draft {
  readonly notes: string[] = [];
  readonly warnings: string[] = [];
  private copy: ModelProto | undefined;
  private readonly taken = new Set<string>();

  /** @param path for messages. */
  constructor(
    private readonly source: ModelProto,
    readonly path: string,
  ) {}

  /** The model as it is now, to be looked at. */
  get model(): ModelProto {
    return this.copy ?? this.source;
  }

  get graph(): GraphProto {
    return graphOf(this.model);
  }

  /** The graph, to be changed; what was looked at before may be another object. Its tensors are the source's: replace them. */
  edit(): GraphProto {
    this.copy ??= copyOfModel(this.source);
    return graphOf(this.copy);
  }

  /** The model, to be changed. */
  editModel(): ModelProto {
    this.edit();
    return this.model;
  }

  /** A name that no value and no node has, from `base`. */
  uniqueName(base: string): string {
    if (this.taken.size === 0) for (const name of namesOf(this.graph)) this.taken.add(name);
    let name = base;
    for (let count = 1; this.taken.has(name); count++) name = `${base}_${count}`;
    this.taken.add(name);
    return name;
  }

  /** Adds a constant, and gives its name. */
  addConstant(base: string, tensorNamed: (name: string) => TensorProto): string {
    const name = this.uniqueName(base);
    this.edit().initializer.push(tensorNamed(name));
    return name;
  }
}

/** A node of one output of the standard operators. */
export function nodeOf(
  opType: string,
  input: readonly string[],
  output: string,
  parts: Partial<NodeProto> = {},
): NodeProto {
  return create(NodeProtoSchema, {
    opType,
    name: output,
    input: [...input],
    output: [output],
    attribute: parts.attribute ?? [],
    domain: parts.domain ?? '',
  });
}

function graphOf({ graph }: ModelProto): GraphProto {
  if (!graph) throw new Error('the model has no graph');
  return graph;
}

function* namesOf(graph: GraphProto): Generator<string> {
  for (const { name } of [...graph.input, ...graph.initializer, ...graph.output]) yield name;
  for (const { name, input, output } of graph.node) {
    yield name;
    yield* input;
    yield* output;
  }
}
