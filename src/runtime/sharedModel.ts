import { UserError } from '../errors.js';
import { machineErrorOf } from '../machineError.js';
import type { ModelProto, TensorProto } from '../onnx/onnx_pb.js';
import type { CoreShares } from './coreShares.js';
import { type ModelRunner, openRunner, sharesFor } from './modelRunner.js';
import * as ort from './ort.js';
import type { SentTensor } from './sentTensor.js';
import type { SessionEnds } from './sessionOperations.js';

export interface SharedModelOptions {
  /** Cores to use in all; 0 for all that there are. */
  readonly threads: number;
  /** What messages call the model. */
  readonly name: string;
}

/** A model in a session that has all threads, or, once many images are expected, in one for each core. */
export class SharedModel {
  private constructor(
    private readonly open: (shares: CoreShares) => Promise<ModelRunner>,
    /** One session, which has all threads. */
    private readonly alone: CoreShares,
    private readonly sharesOf: (images: number) => CoreShares,
    private runner: ModelRunner,
  ) {}

  /** Opens `file`, a path or bytes, which `proto` describes. @throws UserError `not-loadable`. */
  static async open(
    proto: ModelProto,
    file: string | Uint8Array,
    { threads, name }: SharedModelOptions,
  ): Promise<SharedModel> {
    const open = (shares: CoreShares) =>
      openRunner(file, ort.SESSION_OPTIONS, shares).catch((thrown: unknown) => {
        if (thrown instanceof UserError) throw thrown;
        const what = `ONNX Runtime cannot load ${name}: ${ort.reasonOf(thrown)}`;
        throw machineErrorOf(thrown) ?? new UserError('not-loadable', what, { cause: thrown });
      });
    const sharesOf = (images: number) => sharesFor({ threads, images, modelBytes: weightBytes(proto) });
    const alone = { sessions: 1, threads };
    return new SharedModel(open, alone, sharesOf, await open(alone));
  }

  get ends(): SessionEnds {
    return this.runner.ends;
  }

  /**
   * Opens as many sessions as so many images are worth. Gives how many runs are to be under way so that no session waits.
   * @throws UserError `not-loadable`.
   */
  async expect(images: number): Promise<number> {
    const shares = this.sharesOf(images);
    if (shares.sessions > 1 && this.runner.runsAtOnce === 1) {
      const one = this.runner;
      this.runner = await this.open(shares);
      await one.close();
    }
    return this.runner.runsAtOnce;
  }

  /** See {@link ModelRunner.run}. */
  run(feeds: readonly SentTensor[], wanted: readonly string[]): Promise<SentTensor[]> {
    return this.runner.run(feeds, wanted);
  }

  /** A session that has all threads: this model's own where it is in one, which stays open, or another. */
  async openAlone(): Promise<ModelRunner> {
    const { runner } = this;
    if (runner.runsAtOnce > 1) return this.open(this.alone);
    return { ...runner, close: () => Promise.resolve() };
  }

  close(): Promise<void> {
    return this.runner.close();
  }
}

/** Bytes of a model's weights, wherever they lie. */
function weightBytes({ graph }: ModelProto): number {
  const count = ({ dims }: TensorProto) => dims.reduce((product, dim) => product * Number(dim), 1);
  return (graph?.initializer ?? []).reduce((sum, weight) => sum + 4 * count(weight), 0);
}
