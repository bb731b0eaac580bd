import { fileURLToPath } from 'node:url';

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** The embedded model. */
export const SMALL_CNN = at('../models/small_cnn.onnx');
/** Made by models/make-efficientnet-lite0.js. */
export const EFFICIENTNET_LITE0 = at('../models/efficientnet_lite0.onnx');
/** Made by test/fixtures/models/make_models.py. */
export const TINY_MBCONV = at('fixtures/models/tiny_mbconv.onnx');
export const TINY_RESNET = at('fixtures/models/tiny_resnet.onnx');
/** Files that lie beside a developer's checkout; tests that need them are skipped where they are missing. */
export const EFFICIENTNET_LITE0_FLOAT32 = at('../../shared/models/efficientnet_lite0.onnx');
export const SCENES = at('../../shared/data/intel/test');
export const EFFICIENTNET_B0 = at('../../shared/models/efficientnet_b0.onnx');
export const EFFICIENTNET_B2 = at('../../shared/models/efficientnet_b2_untrained.onnx');
export const MOBILEONE_S0 = at('../../shared/models/mobileone_s0.onnx');
export const CIFAR_10 = at('../../shared/data/cifar10-exact');
