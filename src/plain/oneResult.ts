import { create } from '@bufbuild/protobuf';
import {
  type GraphProto,
  type ModelProto,
  type NodeProto,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from '../onnx/onnx_pb.js';
import { readsOf } from '../onnx/captured.js';
import type { Draft } from './draft.js';
import { nodesBefore, producersOf } from './nodes.js';
import { noSuchOutput, severalResults } from './severalResults.js';

/** What makes of scores a class, its name, or a list of names with scores; by domain. */
const BEHIND_SCORES = new Set([
  'ArgMax',
  'TopK',
  'Hardmax',
  'ai.onnx.ml:LabelEncoder',
  'ai.onnx.ml:ZipMap',
  'ai.onnx.ml:ArrayFeatureExtractor',
]);
/** What may stand between those. */
const BETWEEN = new Set(['Cast', 'Flatten', 'Gather', 'Identity', 'Reshape', 'Squeeze', 'Unsqueeze']);

/**
 * Leaves of a model's outputs the one with the classes' scores, and those that it is computed from; what makes a class or its name of
 * scores goes. `asked` is the output that was chosen (‹output›), or a value within the model.
 * @throws UserError `several-outputs` where nothing tells which it is, `no-classifier` where it is none of them, `no-such-output`.
 */
export function oneResult(draft: Draft, asked: string | undefined): void {
  const { graph } = draft;
  const outputs = graph.output;
  const producers = producersOf(graph);
  const chosen =
    asked === undefined ? undefined : (outputs.find(({ name }) => name === asked) ?? within(asked, producers));
  if (asked !== undefined && !chosen) throw noSuchOutput(draft, asked);
  const results = (chosen ? [chosen] : outputs).map((output) => ({ output, scores: scoresOf(output.name, producers) }));
  const scores = [...new Set(results.map((each) => each.scores))];
  const before = (name: string) => readFor(graph, producers.get(name));
  const last = scores.filter((name) => !scores.some((other) => other !== name && before(other).has(name)));
  const [result = ''] = last;
  if (last.length > 1)
    throw severalResults(
      draft,
      results.filter((each) => last.includes(each.scores)),
    );
  const earlier = before(result);
  const stays = ({ name }: ValueInfoProto) => name === result || earlier.has(name);
  const dropped = outputs.filter((output) => !stays(output));
  if (dropped.length === 0) return;
  const kept = outputs.filter(stays);
  const edited = draft.edit();
  const info = edited.valueInfo.find(({ name }) => name === result);
  edited.output = kept.some(({ name }) => name === result) ? kept : [...kept, info ?? floatsCalled(result)];
  edited.node = nodesBefore(
    edited,
    edited.output.map(({ name }) => name),
  );
  const left = `${dropped.map(({ name }) => `"${name}"`).join(', ')} ${dropped.length > 1 ? 'are' : 'is'} left out`;
  const isWithin = chosen !== undefined && !outputs.includes(chosen);
  draft.notes.push(
    isWithin
      ? `"${result}" within ${draft.path} is taken for its result, and of its outputs ${left}`
      : `of the outputs of ${draft.path}, "${result}" is trained and exported, and ${left}`,
  );
}

/**
 * The output that is left of a model: the one that is asked for, or the one on which a new layer is put (‹head›); else the one that tells.
 * Of a model of several results that layer may stand on a value within, of which none of them would be left.
 */
export function outputOf(
  { graph }: ModelProto,
  { output, head }: { readonly output?: string | undefined; readonly head?: string | undefined },
): string | undefined {
  if (output !== undefined || !graph || !head) return output;
  const outputs = graph.output.map(({ name }) => name);
  if (outputs.includes(head) || outputs.length < 2) return outputs.find((name) => name === head);
  if (graph.node.some((node) => node.output.includes(head))) return head;
  // One of them, where there is no such value: what is near its name is told.
  return graph.node.find(({ name }) => name === head)?.output[0] ?? outputs[0];
}

/** What is read, by any node, to compute what a node gives. */
function readFor(graph: GraphProto, node: NodeProto | undefined): Set<string> {
  const read = node ? readsOf(node) : [];
  return new Set([...read, ...nodesBefore(graph, read).flatMap(readsOf)]);
}

/** A value within a model, taken for one of its outputs. */
const within = (name: string, producers: ReadonlyMap<string, NodeProto>) =>
  producers.has(name) ? floatsCalled(name) : undefined;

/** The scores of which an output is made, if it is a class or a name; else itself. */
function scoresOf(output: string, producers: ReadonlyMap<string, NodeProto>): string {
  let scores = output;
  for (let name = output; ;) {
    const node = producers.get(name);
    if (!node) return scores;
    const operator = node.domain === '' || node.domain === 'ai.onnx' ? node.opType : `${node.domain}:${node.opType}`;
    if (!BEHIND_SCORES.has(operator) && !BETWEEN.has(operator)) return scores;
    // Names are looked up: a Gather's places are what comes of the scores, a LabelEncoder's its only input.
    const isLookup = operator === 'Gather' || operator === 'ai.onnx.ml:ArrayFeatureExtractor';
    name = node.input[isLookup ? 1 : 0] ?? '';
    if (BEHIND_SCORES.has(operator)) scores = name;
  }
}

const floatsCalled = (name: string) => create(ValueInfoProtoSchema, { name, type: { tensorType: { elemType: 1 } } });
