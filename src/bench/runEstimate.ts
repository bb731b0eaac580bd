import { classifierOf } from '../artifacts/prepare.js';
import { sideOf } from '../artifacts/preprocessing.js';
import { openDataset } from '../data/openDataset.js';
import { demoShapes } from '../data/pictureShapes.js';
import { UserError } from '../errors.js';
import { multiplyAdds } from '../graph/cost.js';
import { readModel } from '../onnx/model.js';
import { findBlocks } from '../policy/blocks.js';
import { chooseLayers, parsePolicy } from '../policy/policy.js';
import { readTrainFlags, type TrainFlags } from '../train/trainOptions.js';
import { keptViews, makesNewViews } from '../train/views.js';
import { photosOf, type SuiteRow } from './suite.js';
import type { SuiteRun } from './suiteRuns.js';

/** What a run takes beside its photos, and a photo beside its layers, as multiply-adds: about a second, and 3 ms, of an ordinary core. */
const EACH_RUN = 2e10;
const EACH_PHOTO = 6e7;
/** A step computes the layers that train three times: forward, and the gradients of their inputs and of their weights. */
const FORWARD_AND_BACKWARD = 3;

interface Photos {
  readonly train: number;
  readonly val: number;
}

/** Multiply-adds of one image, before and behind the first layer that trains. */
interface Passes {
  readonly frozen: number;
  readonly trained: number;
}

/**
 * How much each run computes, in multiply-adds, by its id: a number that depends on the model, the policy, how many photos there are and the epochs alone,
 * so that every machine finds the same one. What cannot be read counts as little as a run can.
 */
export async function estimatesOf(runs: readonly SuiteRun[], out: string): Promise<ReadonlyMap<string, number>> {
  const photos = new Map<SuiteRow, Photos>();
  const passes = new Map<string, Passes>();
  const estimates = new Map<string, number>();
  for (const { id, row, policy } of runs) {
    const flags = readTrainFlags(row.train);
    const count = photos.get(row) ?? (await photosOfRow(row, flags, out));
    photos.set(row, count);
    const key = JSON.stringify([row.model.path, policy, flags.size ?? null, flags.output ?? null, flags.head ?? null]);
    const pass = passes.get(key) ?? passesOf(row, policy, flags);
    passes.set(key, pass);
    estimates.set(id, estimateOf(pass, count, flags));
  }
  return estimates;
}

function estimateOf({ frozen, trained }: Passes, { train, val }: Photos, flags: TrainFlags): number {
  const { epochs } = flags;
  // What the frozen part gives is kept, unless each epoch takes other views.
  const read = (makesNewViews(flags) ? epochs : keptViews(flags)) * train + val;
  const forward = epochs * (FORWARD_AND_BACKWARD * train + val);
  return EACH_RUN + read * (EACH_PHOTO + frozen) + forward * trained;
}

async function photosOfRow({ data }: SuiteRow, flags: TrainFlags, out: string): Promise<Photos> {
  if (data.drawn) {
    const classes = Object.keys(demoShapes).length;
    return { train: classes * data.drawn.train, val: classes * data.drawn.val };
  }
  const { task, valFraction, limit, valLimit } = flags;
  return orElse({ train: 0, val: 0 }, async () => {
    const found = await openDataset(photosOf(data, out), { seed: 0, task, valFraction, limit, valLimit });
    return { train: found.train.length, val: found.val.length };
  });
}

function passesOf({ model: { path } }: SuiteRow, policy: string, { size, output, head }: TrainFlags): Passes {
  try {
    const model = readModel(path);
    const reading = { ...(size ? { size } : {}), output, head };
    const { usual } = sideOf(model, reading);
    const { graph, layers } = classifierOf(model, { ...reading, usual });
    const chosen = chooseLayers(parsePolicy(policy), layers, findBlocks(graph, layers)).layers;
    const nodes = new Set(chosen.map(({ node }) => node));
    const first = graph.nodes.findIndex((node) => nodes.has(node));
    const costs = graph.nodes.map((node) => multiplyAdds(node));
    const sum = (some: readonly number[]) => some.reduce((total, each) => total + each, 0);
    return first < 0
      ? { frozen: sum(costs), trained: 0 }
      : { frozen: sum(costs.slice(0, first)), trained: sum(costs.slice(first)) };
  } catch (thrown) {
    // The run itself will say so.
    if (thrown instanceof UserError) return { frozen: 0, trained: 0 };
    throw thrown;
  }
}

async function orElse<Value>(other: Value, read: () => Promise<Value>): Promise<Value> {
  try {
    return await read();
  } catch (thrown) {
    if (thrown instanceof UserError) return other;
    throw thrown;
  }
}
