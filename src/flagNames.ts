/** Flags that are not called as the settings that they set, by the settings' keys. */
const names = new Map<string, string>();

/** Has messages call the setting `key` by the flag `name`. */
export function nameFlag(key: string, name: string): void {
  names.set(key, name);
}

/** The flag of the setting `key`, without dashes: `weightDecay` is `weight-decay`. */
export function flagNamed(key: string): string {
  return names.get(key) ?? key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
