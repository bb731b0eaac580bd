import { basename, dirname, join, resolve } from 'node:path';
import {
  balancedClassWeights,
  balancedLabelWeights,
  checkArtifactsPlace,
  checkFunction,
  compile,
  compileOnDevice,
  type CompileOptions,
  compileFlagSettings,
  dataSettings,
  isRun,
  openDataset,
  policyFileName,
  settleFlags,
  UserError,
  weightsOfClasses,
  whileLocked,
  writeArtifacts,
  writeOnDeviceArtifacts,
} from '../internal.js';
import { checkApart } from '../files.js';
import { shared } from './sharedFlags.js';
import { readSource } from './sourceModel.js';
import { withSettings } from './settingFlags.js';
import { warnOfPhotos } from './report.js';
import type { Verb } from './verb.js';
import { showBytes, showCount, showShare, Terminal } from './terminal.js';

interface Arguments {
  model: string;
  classes: string | undefined;
  data: string | undefined;
  target: 'ort-tl' | 'onnxruntime-training';
  targets: 'labels' | 'soft';
  out: string | undefined;
  json: boolean;
}

const SETTINGS = { ...compileFlagSettings, task: dataSettings.task };

export const verb: Verb<Arguments> = {
  builder: (yargs) =>
    withSettings(
      yargs
        .group(['model', 'policy', 'classes', 'data', 'target', 'out'], 'Artifacts:')
        .option('model', shared.model)
        .option('classes', {
          type: 'string',
          requiresArg: true,
          describe: 'names of the classes, with commas between them',
        })
        .option('data', {
          type: 'string',
          requiresArg: true,
          describe: 'photos that give the classes instead: whatever ort-tl train takes',
        })
        .conflicts('classes', 'data')
        .option('target', {
          choices: ['ort-tl', 'onnxruntime-training'] as const,
          default: 'ort-tl' as const,
          describe: "who trains with them: ort-tl, or ONNX Runtime's on-device training, 1.19.2",
        })
        .option('targets', {
          choices: ['labels', 'soft'] as const,
          default: 'labels' as const,
          describe: 'what the training graph takes for an image: its label, or a row of probabilities',
        }),
      SETTINGS,
    )
      .option('out', {
        type: 'string',
        requiresArg: true,
        describe: 'folder for the artifacts (default: artifacts/<model>-<policy>, with the target behind it)',
      })
      .option('json', shared.json)
      .example('$0 compile --model net.onnx --policy F1C2 --classes cat,dog,bird', '')
      .example('$0 compile --model net.onnx --policy blocks:1 --bn batch --classes cat,dog', '')
      .example(
        '$0 compile --model net.onnx --classes cat,dog --target onnxruntime-training',
        'what phones and browsers train with',
      ),
  handler: async (args) => {
    const terminal = new Terminal(args);
    const { accumulate, classWeights: asked, task: askedTask, ...settings } = settleFlags(SETTINGS, args);
    const { policy, batch, seed } = settings;
    const named = args.classes?.split(',').map((name) => name.trim());
    const dataset = args.data ? await openDataset(args.data, { seed, task: askedTask, use: 'compiling' }) : undefined;
    if (dataset) warnOfPhotos(terminal, dataset);
    const task = dataset?.task ?? (askedTask === 'labels' ? 'labels' : 'classes');
    const classes = named ?? dataset?.classes;
    if (!classes)
      throw new UserError('bad-arguments', 'expected the classes: --classes cat,dog, or --data with photos');
    if (new Set(classes).size < classes.length || classes.includes(''))
      throw new UserError('bad-arguments', `expected each class once, got \`${args.classes ?? ''}\` (--classes)`);
    if (asked === 'balanced' && !dataset)
      throw new UserError('bad-arguments', 'expected the photos that --class-weights balanced counts: --data');
    const classWeights =
      asked === 'balanced'
        ? [...(task === 'labels' ? balancedLabelWeights : balancedClassWeights)(dataset?.train ?? [], classes.length)]
        : weightsOfClasses(asked, classes);
    const began = performance.now();
    const options: CompileOptions = {
      ...settings,
      task,
      classes,
      microBatch: Math.ceil(batch / accumulate),
      targets: args.targets,
      ...(classWeights ? { classWeights } : {}),
    };
    const { model, title } = await readSource(terminal, args.model);
    const isOwn = args.target === 'ort-tl';
    const name = `${title}-${policyFileName(policy)}${isOwn ? '' : `-${args.target}`}`;
    const out = args.out ?? join('artifacts', name);
    if (basename(resolve(out)) === 'artifacts' && isRun(dirname(resolve(out))))
      throw new UserError('bad-arguments', `${out} holds the artifacts of a run; choose another folder (--out)`);
    if (args.data !== undefined) checkApart(out, args.data);
    checkArtifactsPlace(out, args.target, model);
    const compiled = isOwn ? compile(model, options) : compileOnDevice(model, options);
    if ('state' in compiled) await checkFunction(model, compiled, 0);
    const manifest = await whileLocked(out, 'compiling', () =>
      'state' in compiled ? writeArtifacts(compiled, out) : writeOnDeviceArtifacts(compiled, out),
    );
    const { cost } = manifest;
    terminal.print(
      `${out}: policy ${manifest.policy}, ${showCount(cost.trainableParameters)} parameters train (${showShare(cost.trainableParameters, cost.parameters)})`,
    );
    terminal.print(
      `${isOwn ? 'boundary' : 'pixels'} ${showBytes(cost.boundaryBytes)} an image; compiled in ${Math.round(performance.now() - began)} ms`,
    );
    for (const note of manifest.notes) terminal.print(note);
    for (const warning of manifest.warnings) terminal.warn(`warning: ${warning}`);
    terminal.json(manifest);
  },
};
