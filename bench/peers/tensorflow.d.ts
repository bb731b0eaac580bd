/** What is used of TensorFlow.js, which is installed only where it is measured. */
export interface Tensor {
  readonly shape: readonly number[];
  data(): Promise<Float32Array>;
  dispose(): void;
}

type Shape = readonly number[];
type Binary = (a: Tensor, b: Tensor) => Tensor;
type Convolution = (x: Tensor, kernel: Tensor, stride: number, padding: 'valid') => Tensor;
type Random = (shape: Shape, low: number, high: number, dtype: 'float32', seed: number) => Tensor;

export interface TensorFlow {
  ready(): Promise<void>;
  getBackend(): string;
  readonly version_core: string;
  readonly version: { readonly 'tfjs-core'?: string };
  tensor(values: Float32Array, shape: Shape): Tensor;
  tensor1d(values: readonly number[], dtype: 'int32'): Tensor;
  oneHot(indices: Tensor, depth: number): Tensor;
  variable(value: Tensor): Tensor;
  zeros(shape: Shape): Tensor;
  readonly randomUniform: Random;
  transpose(x: Tensor, order: readonly number[]): Tensor;
  readonly add: Binary;
  readonly mul: Binary;
  readonly matMul: Binary;
  sigmoid(x: Tensor): Tensor;
  mean(x: Tensor, axes: readonly number[], keepDims: boolean): Tensor;
  reshape(x: Tensor, shape: Shape): Tensor;
  pad(x: Tensor, paddings: readonly (readonly [number, number])[]): Tensor;
  batchNorm(x: Tensor, mean: Tensor, variance: Tensor, shift: Tensor, scale: Tensor, epsilon: number): Tensor;
  readonly conv2d: Convolution;
  readonly depthwiseConv2d: Convolution;
  readonly losses: { softmaxCrossEntropy(labels: Tensor, logits: Tensor): Tensor };
  readonly train: {
    adam(learningRate: number): { minimize(loss: () => Tensor, returnsCost: boolean): Tensor | null };
  };
}
