import { parentPort } from 'node:worker_threads';
import { answerCalls, threadLine } from '../channel.js';
import type { Manifest } from '../artifacts/manifest.js';
import { evaluatorOperations } from './evaluator.js';
import { GradientSession, type PartFeeds, type PartResult } from './gradientSession.js';
import type * as ort from './ort.js';
import type { Row } from './slots.js';
import { StateUpdate, type UpdateStep } from './stateUpdate.js';
import { TrainingMemory } from './trainingMemory.js';

interface WorkerOptions {
  readonly folder: string;
  readonly manifest: Manifest;
  /** See {@link TrainingMemory.allocate}. */
  readonly memory: WebAssembly.Memory;
  /** Its place among the sessions. */
  readonly index: number;
  /** The places of the parameters that it updates. */
  readonly share: readonly number[];
}

let opened: { readonly session: GradientSession; readonly update: StateUpdate } | undefined;

function open() {
  if (!opened) throw new Error('no session is open');
  return opened;
}

/** What the worker does for {@link StepTeam} and {@link EvaluationTeam}, by the names in its calls. */
const operations = {
  ...evaluatorOperations(),
  open: async (
    { folder, manifest, memory: shared, index, share }: WorkerOptions,
    options: ort.InferenceSession.SessionOptions,
  ): Promise<void> => {
    const memory = new TrainingMemory(manifest, shared);
    const session = await GradientSession.open({ folder, manifest, memory, index }, options);
    opened = { session, update: new StateUpdate(manifest, memory, share) };
  },
  run: (rows: readonly Row[], part: PartFeeds): Promise<PartResult> => open().session.run(rows, part),
  /** Adds up the gradients of so many sessions. Gives the sums of squares where they are wanted. */
  addUp: (sessions: number, wantsSquares: boolean): number[] => {
    const { update } = open();
    update.addUp(sessions);
    return wantsSquares ? update.squares() : [];
  },
  apply: (step: UpdateStep): void => {
    open().update.apply(step);
  },
  close: async (): Promise<void> => {
    await opened?.session.close();
    opened = undefined;
  },
};

export type StepOperations = typeof operations;

if (parentPort) answerCalls(threadLine(parentPort), operations);
