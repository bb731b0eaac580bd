/** The place of a class among a model's labels, whichever form of Unicode both have (macOS parts é into e and an accent); −1 for none. */
export function labelIndex(labels: readonly string[], name: string): number {
  const exact = labels.indexOf(name);
  if (exact >= 0) return exact;
  const composed = name.normalize('NFC');
  return labels.findIndex((label) => label.normalize('NFC') === composed);
}
