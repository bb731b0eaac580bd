import { fileURLToPath } from 'node:url';

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** The embedded model. */
export const SMALL_CNN = at('../models/small_cnn.onnx');
/** Files that lie beside a developer's checkout; tests that need them are skipped where they are missing. */
export const EFFICIENTNET_B0 = at('../../shared/models/efficientnet_b0.onnx');
export const EFFICIENTNET_B2 = at('../../shared/models/efficientnet_b2_untrained.onnx');
export const MOBILEONE_S0 = at('../../shared/models/mobileone_s0.onnx');
export const CIFAR_10 = at('../../shared/data/cifar10-exact');
