import { FILES } from '../artifacts/artifactFiles.js';
import { type Manifest, STEP_OUTPUTS } from '../artifacts/manifest.js';
import { HandedOver } from '../channel.js';
import { giveBack } from '../giveBack.js';
import { boundaryTensors } from './boundaryTensors.js';
import * as ort from './ort.js';
import { openPart, runPart } from './partSessions.js';
import { buffersOf, type SentTensor } from './sentTensor.js';
import type { Row } from './slots.js';

/** What an evaluation goes by. */
export type EvaluatedManifest = Pick<Manifest, 'boundary' | 'classes'>;

/** What a run gives. */
export interface EvaluatedImages {
  /** [images, classes]. */
  readonly logits: Float32Array;
  /** Those that it was given, for the next run. */
  readonly rows: Row[];
}

/** A session of the evaluation graph, which keeps the state that its runs take. */
export class Evaluator {
  private state: Record<string, ort.Tensor> = {};

  private constructor(
    private readonly manifest: EvaluatedManifest,
    private readonly session: ort.InferenceSession,
  ) {}

  /** @throws UserError `not-loadable` when ONNX Runtime refuses the evaluation graph. */
  static async open(
    folder: string,
    manifest: EvaluatedManifest,
    options: ort.InferenceSession.SessionOptions,
  ): Promise<Evaluator> {
    return new Evaluator(manifest, await openPart(folder, FILES.evaluation, options));
  }

  /** Has the runs that follow take these parameters and statistics. */
  hold(state: Record<string, ort.Tensor>): void {
    this.state = state;
  }

  /** Evaluates so many images, whose boundary `rows` hold. It blocks the thread. @throws UserError `not-runnable`. */
  async run(rows: Row[], images: number): Promise<EvaluatedImages> {
    const { boundary, classes } = this.manifest;
    const logits = new Float32Array(images * classes.length);
    await runPart(FILES.evaluation, this.session, {
      feeds: { ...this.state, ...boundaryTensors(boundary, rows, images) },
      fetches: { [STEP_OUTPUTS.logits]: new ort.Tensor('float32', logits, [images, classes.length]) },
    });
    return { logits, rows };
  }

  close(): Promise<void> {
    return this.session.release();
  }
}

/** What a worker does for {@link EvaluationTeam}, by the names in its calls: it has one evaluator. */
export function evaluatorOperations() {
  let evaluator: Evaluator | undefined;
  let held: readonly SentTensor[] = [];
  return {
    openEvaluator: async (
      folder: string,
      manifest: EvaluatedManifest,
      options: ort.InferenceSession.SessionOptions,
    ): Promise<void> => {
      evaluator = await Evaluator.open(folder, manifest, options);
    },
    holdState: (state: readonly SentTensor[]): void => {
      evaluator?.hold(
        Object.fromEntries(state.map(({ name, type, data, dims }) => [name, new ort.Tensor(type, data, dims)])),
      );
      giveBack(buffersOf(held));
      held = state;
    },
    evaluate: async (rows: Row[], images: number): Promise<HandedOver<EvaluatedImages>> => {
      if (!evaluator) throw new Error('no evaluator is open');
      const result = await evaluator.run(rows, images);
      return new HandedOver(result, buffersOf([result.logits, ...result.rows].map((data) => ({ data }))));
    },
    closeEvaluator: async (): Promise<void> => {
      await evaluator?.close();
      evaluator = undefined;
    },
  };
}

export type EvaluatorOperations = ReturnType<typeof evaluatorOperations>;
