import { type Document, isScalar, type Scalar, visit } from 'yaml';

/**
 * The first key that its mapping has twice, in a document that was read with `uniqueKeys: false`: the library compares each key with
 * every other, which takes minutes for many.
 */
export function keySetTwice(document: Document): Scalar | undefined {
  let twice: Scalar | undefined;
  visit(document, {
    Map: (_, { items }) => {
      const seen = new Set<unknown>();
      for (const { key } of items) {
        if (!isScalar(key)) continue;
        if (seen.has(key.value)) twice = key;
        if (twice) return visit.BREAK;
        seen.add(key.value);
      }
      return undefined;
    },
  });
  return twice;
}
