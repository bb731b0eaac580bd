import {
  compileSettings,
  DEFAULT_MODEL,
  headSettings,
  helpOf,
  inspect,
  type InspectReport,
  type LayerReport,
  settleFlags,
  stepSettings,
} from '../internal.js';
import { withSettings } from './settingFlags.js';
import { shared, wholeNumber } from './sharedFlags.js';
import { readSource } from './sourceModel.js';
import type { Verb } from './verb.js';
import { showBytes, showCount, showShare, table, Terminal } from './terminal.js';

interface Arguments {
  model: string;
  policy: string | undefined;
  classes: number | undefined;
  json: boolean;
}

/** What says how large the training of a policy would be. */
const SETTINGS = {
  batch: stepSettings.batch,
  size: compileSettings.size,
  output: compileSettings.output,
  hidden: headSettings.hidden,
  head: headSettings.head,
  batchNorm: headSettings.batchNorm,
};

export const verb: Verb<Arguments> = {
  builder: (yargs) =>
    withSettings(
      yargs
        .positional('model', { type: 'string', default: DEFAULT_MODEL, describe: shared.model.describe })
        .option('policy', { type: 'string', requiresArg: true, describe: helpOf(compileSettings.policy) })
        .option('classes', {
          type: 'number',
          requiresArg: true,
          describe: 'number of new classes (default: as many as the model has)',
        }),
      SETTINGS,
    )
      .option('json', shared.json)
      .example('$0 inspect efficientnet_b0.onnx', 'the layers that a policy counts')
      .example('$0 inspect efficientnet_b0.onnx --policy F1C2', 'and what that policy trains and costs')
      .example('$0 inspect efficientnet_b0.onnx --policy blocks:2', 'the last two blocks')
      .example('$0 inspect vit.onnx --policy lora:8', 'adapters of rank 8 beside the matrices of a transformer'),
  handler: async (args) => {
    const terminal = new Terminal(args);
    const { model } = await readSource(terminal, args.model);
    const report = inspect(model, {
      ...settleFlags(SETTINGS, args),
      ...(args.policy === undefined ? {} : { policy: args.policy }),
      ...(args.classes === undefined ? {} : { classes: wholeNumber('classes', args.classes, 2) }),
    });
    const trains = ({ trainedParameters, adapterParameters, parameters }: LayerReport) =>
      trainedParameters === 0
        ? adapterParameters > 0
          ? `${showCount(adapterParameters)} beside`
          : ''
        : trainedParameters < parameters
          ? `${showCount(trainedParameters)} train`
          : 'trained';
    const rows = report.layers.map((layer) => [
      ...(args.policy === undefined ? [] : [trains(layer)]),
      layer.policyName,
      ...(report.blocks === 0 ? [] : [layer.block === undefined ? '' : String(layer.block)]),
      layer.operator,
      layer.name,
      layer.outputShape.join('×'),
      showCount(layer.parameters),
      showCount(layer.multiplyAdds),
    ]);
    const headings = [
      ...(args.policy === undefined ? [] : ['']),
      'layer',
      ...(report.blocks === 0 ? [] : ['block']),
      'operator',
      'name',
      'output',
      'parameters',
      'multiply-adds',
    ];
    for (const line of table([headings, ...rows])) terminal.print(line);
    terminal.print();
    terminal.print(
      `${showCount(report.parameters)} parameters, ${showCount(report.multiplyAdds)} multiply-adds an image of ${report.imageSize.join('×')}, ${report.classes} ${report.task}`,
    );
    for (const line of apart(report)) terminal.print(line);
    const { policy } = report;
    if (policy) {
      terminal.print(
        `policy ${policy.name}: ${showCount(policy.trainableParameters)} parameters train, ${showShare(policy.trainableParameters, policy.parameters)}`,
      );
      terminal.print(
        `multiply-adds an image: frozen ${showCount(policy.frozenMultiplyAdds)} once; then forward ${showCount(policy.forwardMultiplyAdds)}, backward ${showCount(policy.backwardMultiplyAdds)} a step`,
      );
      terminal.print(
        `boundary: ${policy.boundary.map(({ name, shape }) => `${name} [${shape.join(', ')}]`).join(', ')}, ${showBytes(policy.boundaryBytes)} an image`,
      );
      terminal.print(
        `training memory, estimated at ${report.batch} images a step: ${showBytes(policy.trainingMemoryBytes)}, and the boundary of every photo beside it`,
      );
    }
    const told = policy ?? report;
    for (const note of told.notes) terminal.print(note);
    for (const warning of told.warnings) terminal.warn(`warning: ${warning}`);
    terminal.json(report);
  },
};

/** Names that a line shows. */
const SHOWN = 4;

/** What no policy but `full` trains, and what was taken for no parameter at all. */
function apart({ buffers, onlyByName }: InspectReport): string[] {
  const listed = (names: readonly string[]) =>
    `${names.slice(0, SHOWN).join(', ')}${names.length > SHOWN ? `, and ${names.length - SHOWN} more` : ''}`;
  const kinds = new Map<string, string[]>();
  for (const { name, reason } of buffers) kinds.set(reason, [...(kinds.get(reason) ?? []), name]);
  return [
    ...(onlyByName.length > 0 ? [`only full, and layers: by name, trains ${listed(onlyByName)}`] : []),
    ...[...kinds].map(([reason, names]) => `no parameters, but ${reason}: ${listed(names)}`),
  ];
}
