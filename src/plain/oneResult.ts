import { create } from '@bufbuild/protobuf';
import { UserError } from '../errors.js';
import { type ModelProto, type NodeProto, type ValueInfoProto, ValueInfoProtoSchema } from '../onnx/onnx_pb.js';
import type { Draft } from './draft.js';
import { dimsOf, nodesBefore, producersOf, shownDims } from './nodes.js';
import { dtypeName } from '../onnx/tensor.js';

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
 * scores goes. `asked` is the output that was chosen (‹output›).
 * @throws UserError `several-outputs` where nothing tells which it is, `no-such-output`.
 */
export function oneResult(draft: Draft, asked: string | undefined): void {
  const { graph } = draft;
  const outputs = graph.output;
  const chosen = asked === undefined ? undefined : outputs.find(({ name }) => name === asked);
  if (asked !== undefined && !chosen)
    throw new UserError(
      'no-such-output',
      `${draft.path} has no output "${asked}" (‹output›); it has ${listed(outputs)}`,
    );
  const producers = producersOf(graph);
  const scores = [...new Set((chosen ? [chosen] : outputs).map(({ name }) => scoresOf(name, producers)))];
  const before = (name: string) =>
    new Set(nodesBefore(graph, producers.get(name)?.input ?? []).flatMap(({ output }) => output));
  const last = scores.filter((name) => !scores.some((other) => other !== name && before(other).has(name)));
  const [result = ''] = last;
  if (last.length > 1)
    throw new UserError(
      'several-outputs',
      `${draft.path} has several results, and ort-tl cannot tell which are the classes; name it (‹output›): ${listed(outputs)}`,
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
  draft.notes.push(
    `of the outputs of ${draft.path}, "${result}" is trained and exported, and ${dropped.map(({ name }) => `"${name}"`).join(', ')} ${dropped.length > 1 ? 'are' : 'is'} left out`,
  );
}

/** The output that is left of a model: the one that is asked for, or the one on which a new layer is put (‹head›); else the one that tells. */
export function outputOf(
  { graph }: ModelProto,
  { output, head }: { readonly output?: string | undefined; readonly head?: string | undefined },
): string | undefined {
  return output ?? graph?.output.find(({ name }) => name === head)?.name;
}

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

/** Outputs with their types and shapes. */
function listed(outputs: readonly ValueInfoProto[]): string {
  return outputs
    .map((output) => {
      const type = output.type?.tensorType;
      return `"${output.name}" ${type ? `${dtypeName(type.elemType)} ${shownDims(dimsOf(output))}` : '(no tensor)'}`;
    })
    .join(', ');
}
