/** The domain of ONNX Runtime's own operators, those that it adds to the standard ones (domain `''`). */
export const MICROSOFT = 'com.microsoft';

/**
 * The blocked layout of ONNX Runtime's CPU provider: a tensor [N, C, H, W] lies in memory as [N, C / B, H, W, B], and its
 * operators say the former. They are what the provider's own layout pass writes for weights that are constants; written by hand,
 * weights may be inputs too. B depends on the processor; see `probeBlockSize`.
 */
export const BLOCKED = 'com.microsoft.nchwc';
