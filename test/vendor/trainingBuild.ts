/** What scripts use of the training build of onnxruntime-web 1.19.2, the last with one; it declares no types of its own. */
export interface TrainingBuild {
  readonly env: { readonly wasm: { numThreads: number }; readonly versions?: { readonly web?: string } };
  readonly Tensor: new (
    type: 'uint8' | 'float32' | 'int64',
    data: Uint8Array | Float32Array | BigInt64Array,
    dims: readonly number[],
  ) => TrainingTensor;
  readonly TrainingSession: {
    create(
      artifacts: Readonly<Record<'checkpointState' | 'trainModel' | 'evalModel' | 'optimizerModel', Uint8Array>>,
      options: { readonly executionProviders: readonly string[] },
    ): Promise<TrainingSession>;
  };
}

export interface TrainingTensor {
  readonly data: Float32Array;
}

type Tensors = Readonly<Record<string, TrainingTensor>>;

export interface TrainingSession {
  readonly trainingInputNames: readonly string[];
  readonly trainingOutputNames: readonly string[];
  runTrainStep(feeds: Tensors): Promise<Tensors>;
  runOptimizerStep(): Promise<void>;
  lazyResetGrad(): Promise<void>;
  getContiguousParameters(trainableOnly: boolean): Promise<TrainingTensor>;
}
