import { messageOf, UserError } from '../errors.js';
import { describe, type Node } from './graph.js';

/**
 * Runs `read`, which takes `node` as a model file has it. Here is the edge between the file and ort-tl: what does not fit
 * in such a node is the file's fault, while the same error in a node that ort-tl appends itself is a bug, and stays one.
 * A TypeError is a bug anywhere, and passes through.
 * @throws UserError `bad-model`, with the node's name and the reason.
 */
export function readSourceNode<T>(node: Node, read: () => T): T {
  try {
    return read();
  } catch (thrown) {
    if (thrown instanceof UserError || thrown instanceof TypeError) throw thrown;
    const reason = messageOf(thrown);
    const place = reason.includes(describe(node)) ? '' : `${describe(node)}: `;
    throw new UserError(
      'bad-model',
      `${place}${reason}; the model file is damaged, or does what ort-tl cannot follow: export it anew`,
      {
        cause: thrown,
      },
    );
  }
}
