import { FILES } from '../artifacts/artifactFiles.js';
import { type Manifest, STEP_OUTPUTS } from '../artifacts/manifest.js';
import type { Tensor } from '../onnx/tensor.js';
import { boundaryTensors } from './boundaryTensors.js';
import * as ort from './ort.js';
import { openBytes, runPart, sessionOptions } from './partSessions.js';
import type { Row } from './slots.js';

/** What a head's evaluation takes and gives. */
type HeadManifest = Pick<Manifest, 'boundary' | 'classes' | 'parameters' | 'statistics'>;

/**
 * The trained part of artifacts with what it has learned: the boundary of one image in, its logits out. It runs in this thread, which a
 * head takes for less than a millisecond.
 */
export class HeadRunner {
  private session: Promise<ort.InferenceSession> | undefined;
  /** Runs come one after another, and closing after them. */
  private last: Promise<unknown> = Promise.resolve();

  /**
   * @param evaluation the bytes of the artifacts' evaluation graph.
   * @param parameters what was learned, and statistics, by their names.
   */
  constructor(
    private readonly evaluation: Uint8Array,
    private readonly manifest: HeadManifest,
    private readonly parameters: ReadonlyMap<string, Tensor>,
  ) {}

  /** Logits [classes] of an image's boundary. @throws UserError `not-loadable`, `not-runnable`. */
  logits(boundary: readonly Row[]): Promise<Float32Array> {
    const run = this.last.then(() => this.run(boundary));
    this.last = run.catch(() => undefined);
    return run;
  }

  /** Gives back what it took; a later run opens it again. */
  close(): Promise<void> {
    const closed = this.last.then(async () => {
      const { session } = this;
      this.session = undefined;
      await (await session)?.release();
    });
    this.last = closed.catch(() => undefined);
    return closed;
  }

  private async run(boundary: readonly Row[]): Promise<Float32Array> {
    const { manifest, parameters } = this;
    // What it computes is little: threads would wait for each other.
    this.session ??= openBytes(this.evaluation, FILES.evaluation, sessionOptions(1, 'cpu'));
    const session = await this.session;
    const feeds = boundaryTensors(manifest.boundary, boundary, 1);
    for (const { name, shape } of [...manifest.parameters, ...manifest.statistics]) {
      const values = parameters.get(name)?.data;
      if (values instanceof Float32Array) feeds[name] = new ort.Tensor('float32', values, shape);
    }
    const logits = new Float32Array(manifest.classes.length);
    const fetches = { [STEP_OUTPUTS.logits]: new ort.Tensor('float32', logits, [1, logits.length]) };
    await runPart(FILES.evaluation, session, { feeds, fetches });
    return logits;
  }
}
