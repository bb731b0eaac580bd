import { renameReads } from '../onnx/captured.js';
import { sharing } from '../onnx/sharing.js';
import type { Draft } from './draft.js';
import { OWN_NAMES } from './ownNames.js';

/**
 * Gives other names to values within a model that are called as what ort-tl adds to it, and to nodes that are called as others. What the
 * model takes and gives keeps its names.
 */
export function giveWay(draft: Draft): void {
  renameNodes(draft);
  const { graph } = draft;
  const kept = new Set([...graph.input, ...graph.output].map(({ name }) => name));
  const constants = new Set(graph.initializer.map(({ name }) => name));
  const clashes = (name: string) => {
    if (OWN_NAMES.has(name)) return true;
    const slash = name.lastIndexOf('/');
    // What trains along with a parameter is called so.
    return slash > 0 && constants.has(name) && constants.has(name.slice(0, slash));
  };
  const isTaken = (name: string) => kept.has(name) && !constants.has(name);
  const taken = [...constants, ...graph.node.flatMap(({ output }) => output)].filter(
    (name) => clashes(name) && !isTaken(name),
  );
  if (taken.length === 0) return;
  const edited = draft.edit();
  const names = new Map(taken.map((name) => [name, draft.uniqueName(`${name.replaceAll('/', '.')}_1`)]));
  const nameOf = (name: string) => names.get(name) ?? name;
  edited.initializer = edited.initializer.map((tensor) =>
    names.has(tensor.name) ? sharing(tensor, { name: nameOf(tensor.name) }) : tensor,
  );
  for (const each of [...edited.input, ...edited.valueInfo]) each.name = nameOf(each.name);
  for (const node of edited.node) {
    renameReads(node, nameOf);
    node.output = node.output.map(nameOf);
  }
}

/** Nodes are found by their names; one without is called as its first output. */
function renameNodes(draft: Draft): void {
  const seen = new Set<string>();
  const isTwice = draft.graph.node.map(({ name, output: [output = ''] }) => {
    const called = name || output;
    const twice = seen.has(called);
    seen.add(called);
    return twice;
  });
  if (!isTwice.includes(true)) return;
  draft.edit().node.forEach((node, index) => {
    if (isTwice[index]) node.name = draft.uniqueName(node.name || (node.output[0] ?? ''));
  });
}
