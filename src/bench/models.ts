import { fileURLToPath } from 'node:url';

/** Models that come with ort-tl, by the names that may stand for their paths. */
const registered: ReadonlyMap<string, string> = new Map([
  ['efficientnet_lite0', fileURLToPath(new URL('../../models/efficientnet_lite0.onnx', import.meta.url))],
  ['small_cnn', fileURLToPath(new URL('../../models/small_cnn.onnx', import.meta.url))],
]);

/** Where a model lies: one that comes with ort-tl by its name, another by its path. */
export const modelPath = (nameOrPath: string): string => registered.get(nameOrPath) ?? nameOrPath;
