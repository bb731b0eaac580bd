import {
  findMeter,
  headlineIn,
  headlineOf,
  type Meter,
  openDataset,
  type PolicyReport,
  providerCalled,
  recommend,
  type Recommendation,
  type RecommendEvent,
  recommendFlagSettings,
  type RecommendOptions,
  resultOf,
  scoreOf,
  settleFlags,
} from '../internal.js';
import { shellWord } from '../text.js';
import { interruptibly } from './interruptibly.js';
import { duration, joules, shared } from './sharedFlags.js';
import { warnOfPhotos } from './report.js';
import { readSource } from './sourceModel.js';
import { withSettings } from './settingFlags.js';
import { showBytes, showCount, showDuration, showPercent, table, Terminal } from './terminal.js';
import type { Verb } from './verb.js';

interface Arguments {
  model: string;
  data: string;
  energy: string | undefined;
  watts: number | undefined;
  time: string | undefined;
  policies: string | undefined;
  json: boolean;
  events: boolean;
  quiet: boolean;
}

/** Flags of this verb that `train` does not take, and whether a value follows. */
const OWN: Readonly<Record<string, boolean>> = {
  energy: true,
  watts: true,
  time: true,
  policies: true,
  tolerance: true,
  effort: true,
  json: false,
  events: false,
  quiet: false,
  debug: false,
};

export const verb: Verb<Arguments> = {
  builder: (yargs) =>
    withSettings(
      yargs
        .option('model', shared.model)
        .option('data', {
          type: 'string',
          demandOption: true,
          requiresArg: true,
          describe: 'photos, as ort-tl train takes them',
        })
        .option('energy', {
          type: 'string',
          requiresArg: true,
          describe: 'the most energy that the training may take: 500J, 2kJ',
        })
        .option('watts', {
          type: 'number',
          requiresArg: true,
          describe: 'what one busy core draws, for an estimate of energy where nothing measures it',
        })
        .option('time', {
          type: 'string',
          requiresArg: true,
          describe: 'the most time that it may take: 90s, 10m, 1.5h',
        })
        .option('policies', {
          type: 'string',
          requiresArg: true,
          describe: 'what to choose from, each training more than the one before (default: F1C0 to F1C3, full)',
        }),
      recommendFlagSettings,
      { 'val-fraction': '; those are not looked at here' },
    )
      .option('json', shared.json)
      .option('events', shared.events)
      .option('quiet', shared.quiet)
      .example('$0 recommend --model efficientnet_b0.onnx --data photos/', 'how many layers are worth training')
      .example('$0 recommend --model net.onnx --data photos/ --time 10m --memory 512MB', 'the best within limits')
      .example('$0 recommend --model net.onnx --data photos/ --energy 500J --watts 6', 'with joules estimated')
      .example('$0 recommend --model net.onnx --data photos/ --policies F1C0,blocks:1,blocks:2,full', ''),
  handler: async (args) => {
    const terminal = new Terminal(args);
    const { task, valFraction, ...settings } = settleFlags(recommendFlagSettings, args);
    const dataset = await openDataset(args.data, { task, valFraction, seed: settings.seed });
    warnOfPhotos(terminal, dataset);
    await interruptibly(terminal, { doing: 'ending the training under way' }, async ({ signal }) => {
      const { model } = await readSource(terminal, args.model, signal);
      const result = await reportRecommendation(terminal, {
        ...{ ...settings, model },
        dataset,
        provider: await providerCalled(settings.provider),
        signal,
        ...(await meterFor(args.watts)),
        ...limitsOf(args),
      });
      terminal.print();
      terminal.result(`ort-tl train ${trainingFlags(process.argv.slice(3), result.policy)}`);
      terminal.json(result);
    });
  },
};

/** What the training may take, and what is chosen from. */
function limitsOf({ energy, time, policies }: Arguments): Partial<RecommendOptions> {
  return {
    ...(energy === undefined ? {} : { energyLimitJ: joules('energy', energy) }),
    ...(time === undefined ? {} : { timeLimitMs: duration('time', time) }),
    ...(policies === undefined ? {} : { policies: policies.split(',').map((policy) => policy.trim()) }),
  };
}

/** What measures energy here, or estimates it from stated watts. */
export async function meterFor(watts: number | undefined): Promise<{ meter?: Meter }> {
  const access = await findMeter(watts === undefined ? { energy: 'auto' } : { energy: 'estimate', watts });
  return access.kind === 'meter' ? { meter: access.open() } : {};
}

/** Finds a policy, shows how it goes, and the table that it was chosen from. */
export async function reportRecommendation(terminal: Terminal, options: RecommendOptions): Promise<Recommendation> {
  const recommendation = await resultOf(recommend(options), (event) => {
    terminal.event(event);
    showEvent(terminal, event);
  });
  terminal.event({ type: 'done', recommendation });
  showRecommendation(terminal, recommendation);
  return recommendation;
}

function showEvent(terminal: Terminal, event: RecommendEvent): void {
  switch (event.type) {
    case 'measured':
      terminal.print(`${event.policy}: the whole training would take about ${showDuration(event.predictedMs)}`);
      break;
    case 'progress':
      terminal.progress(event.phase, event.done, event.total, event.phase === 'measuring' ? 'policies' : 'photos');
      break;
    case 'skipped':
      terminal.warn(`skipped: ${event.reason}`);
      break;
    case 'trained':
      terminal.print(
        `${event.policy}: ${headlineIn(event).title} ${showPercent(scoreOf(event))} of the held-out photos after ${showCount(event.photos)} photos, ${event.epochs} epochs (seed ${event.seed})`,
      );
      break;
  }
}

function showRecommendation(terminal: Terminal, result: Recommendation): void {
  const { policies, reason, confidence, notes, elapsedMs, sweepMs, energyEstimated, tolerance } = result;
  const joulesHeading = energyEstimated === true ? 'J (estimated)' : 'J';
  const row = (each: PolicyReport) => {
    const half = each.interval ? (each.interval[1] - each.interval[0]) / 2 : 0;
    return [
      each.policy,
      each.trainableParameters === null ? '' : showCount(each.trainableParameters),
      each.accuracy === null ? '' : `${(100 * each.accuracy).toFixed(1)} ± ${(100 * half).toFixed(1)}`,
      each.trainedShare === null ? '' : showPercent(each.trainedShare),
      each.predictedMs === null ? '' : (each.predictedMs / 1000).toPrecision(3),
      each.memoryBytes === null ? '' : showBytes(each.memoryBytes),
      each.energyJ === null ? 'not measured' : each.energyJ.toPrecision(3),
      each.regret === null ? '' : (100 * each.regret).toFixed(1),
      each.nearBest === null ? '' : showPercent(each.nearBest),
      each.verdict,
    ];
  };
  const headings = [
    'policy',
    'trains',
    `predicted ${headlineOf(result.task).title} %`,
    'trained',
    'predicted s',
    'memory',
    joulesHeading,
    'loses',
    `within ${(100 * tolerance).toFixed(1)}`,
    '',
  ];
  terminal.print();
  for (const line of table([headings, ...policies.map(row)])) terminal.print(line);
  terminal.print();
  for (const note of notes) terminal.print(note);
  terminal.print(
    `took ${showDuration(elapsedMs)}, ${showPercent(elapsedMs / sweepMs)} of what training by every policy is predicted to take`,
  );
  terminal.result(`${reason} (in ${showPercent(confidence)} of the resamples it is that near)`, 'bold');
}

/** The flags of the training to come: those that were given, as far as they are its own, and the policy. */
export function trainingFlags(words: readonly string[], policy: string): string {
  const kept: string[] = [];
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? '';
    const name = /^--([^=]+)/.exec(word)?.[1] ?? '';
    const takesValue = OWN[name];
    if (takesValue === undefined) kept.push(shellWord(word));
    else if (takesValue && !word.includes('=')) index++;
  }
  return [...kept, '--policy', shellWord(policy)].join(' ');
}
