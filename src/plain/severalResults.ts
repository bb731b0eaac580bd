import { UserError } from '../errors.js';
import { canonicalize } from '../graph/canonical.js';
import type { Dim, Graph, Value } from '../graph/graph.js';
import { inferGraph } from '../graph/infer.js';
import { graphOfModel, statedBatch } from '../graph/proto.js';
import { nearestNames } from '../nearestNames.js';
import type { GraphProto, ModelProto, NodeProto, ValueInfoProto } from '../onnx/onnx_pb.js';
import { allNodes } from '../onnx/tensorsOf.js';
import { dtypeName, dtypeOfCode } from '../onnx/tensor.js';
import type { Draft } from './draft.js';
import { dimsOf, givenInputs, nodesBefore, shown, shownDims } from './nodes.js';

/** An output of a model, and the scores that it is computed from, or itself. */
export interface Result {
  readonly output: ValueInfoProto;
  readonly scores: string;
}

/** What finds things in a picture: how many, the picture decides. */
const DETECTING = /NonMaxSuppression|NMS|Roi(Align|Pool)/;

/** How many outputs a message tells. */
const MOST = 5;

/** In which sides of images a file that leaves them open is looked at: many networks halve them five or six times, others take one only. */
const SIDES = [256, 224];

const FRESH = '‹head› NAME puts a new fully connected layer on a value of it';

/** The error for a model of several results, of which none tells that it has the classes. */
export function severalResults({ graph, model, path }: Draft, results: readonly Result[]): UserError {
  const outputs = results.map(({ output }) => output);
  const isDetecting = ({ opType }: NodeProto) => DETECTING.test(opType);
  const detecting = (name: string) => [...allNodes(nodesBefore(graph, [name]))].find(isDetecting);
  const couldBe = rowsOf(model);
  const rows = results.filter(({ scores }) => couldBe(scores) && !detecting(scores));
  const [row] = rows;
  if (!row) {
    const node = results.map(({ scores }) => detecting(scores)).find((each) => each !== undefined);
    const what = node
      ? `finds things in a picture, as ${shown(node)} shows, and gives no classes of it: its results are`
      : 'gives no classes: none of its results is one row of scores for each image, [N, classes], but';
    return new UserError('no-classifier', `${path} ${what} ${listed(outputs)}; ${FRESH}`);
  }
  const which =
    rows.length === 1 && outputs.length > 1
      ? `${path} has several results, of which "${row.output.name}" alone could be the classes; name it if it is (‹output›)`
      : `${path} has several results, and ort-tl cannot tell which are the classes; name it (‹output›)`;
  return new UserError('several-outputs', `${which}: ${listed(rows.map(({ output }) => output))}`);
}

/** The error for an output that a model has not. */
export function noSuchOutput({ graph, path }: Draft, asked: string): UserError {
  const places = new Map(graph.output.map((output) => [output.name, output]));
  const near = nearestNames(asked, [...places.keys()], places.size).flatMap((name) => places.get(name) ?? []);
  return new UserError('no-such-output', `${path} has no output "${asked}" (‹output›); it has ${listed(near)}`);
}

/** Outputs with their types and shapes, the first few of them. */
function listed(outputs: readonly ValueInfoProto[]): string {
  const told = outputs.slice(0, MOST).map((output) => {
    const type = output.type?.tensorType;
    return `"${output.name}" ${type ? `${dtypeName(type.elemType)} ${shownDims(dimsOf(output))}` : '(no tensor)'}`;
  });
  if (outputs.length > MOST) told.push(`and ${outputs.length - MOST} more`);
  return told.join(', ');
}

/** Whether a value could be one row of scores for each image, as far as can be told: float numbers, of one axis beside that of images. */
function rowsOf(model: ModelProto): (name: string) => boolean {
  const { graph } = model;
  const images = statedBatch(model, graph ? (givenInputs(graph)[0]?.name ?? '') : '');
  const stated = statedOf(graph);
  const inferred = inferredOf(model);
  return (name) => {
    const { code, dims } = stated.get(name) ?? {};
    const found = inferred.get(name);
    const dtype = code === undefined || code === 0 ? found?.dtype : (dtypeOfCode(code) ?? 'other');
    if (dtype !== undefined && dtype !== 'float32') return false;
    const isStated = dims?.slice(1).every((dim) => typeof dim === 'number') === true;
    return isRow(isStated ? dims : (found?.shape ?? dims), images);
  };
}

type Dims = readonly (Dim | string | undefined)[];

function isRow(dims: Dims | undefined, images: number | undefined): boolean {
  if (!dims) return true;
  const [first, ...rest] = dims;
  const isOfOthers =
    typeof first === 'object' ? first.batch !== 1 : typeof first === 'number' && first > 1 && first !== images;
  if (isOfOthers || rest.length === 0 || rest.some((dim) => typeof dim === 'object')) return false;
  // What is open could be 1, unless it is the only axis.
  return rest.length === 1 || rest.filter((dim) => typeof dim === 'number' && dim > 1).length < 2;
}

/** Types and dimensions as the file states them. */
function statedOf(graph: GraphProto | undefined): Map<string, { code: number; dims: Dims | undefined }> {
  const infos = [...(graph?.valueInfo ?? []), ...(graph?.output ?? [])];
  return new Map(infos.map((info) => [info.name, { code: info.type?.tensorType?.elemType ?? 0, dims: dimsOf(info) }]));
}

/** Types and shapes as they follow from those before, as far as they do. */
function inferredOf(model: ModelProto): Map<string, Value> {
  let values = new Map<string, Value>();
  try {
    for (const side of SIDES) {
      const graph = graphOfModel(model, [side, side]);
      const written = graph.nodes.flatMap(({ outputs }) => outputs.filter((value) => value !== undefined));
      values = new Map(written.map((value) => [value.name, value]));
      canonicalize(graph);
      if (infers(graph)) break;
    }
  } catch (thrown) {
    if (!(thrown instanceof UserError)) throw thrown;
  }
  return values;
}

/** Infers a graph up to the first node that does not fit. Gives whether all do. */
function infers(graph: Graph): boolean {
  try {
    inferGraph(graph);
    return true;
  } catch (thrown) {
    if (thrown instanceof UserError) return false;
    throw thrown;
  }
}
