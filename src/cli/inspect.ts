import { inspect, type LayerReport, readModel } from '../index.js';
import { headFlags, headOptionsOf } from './headFlags.js';
import { shared, wholeNumber } from './options.js';
import type { Verb } from './verb.js';
import { showBytes, showCount, showPercent, table, Terminal } from './terminal.js';

interface Arguments {
  model: string;
  policy: string | undefined;
  batch: number;
  classes: number | undefined;
  size: number | undefined;
  hidden: string | undefined;
  bn: 'frozen' | 'batch';
  json: boolean;
}

export const verb: Verb<Arguments> = {
  builder: (yargs) =>
    yargs
      .positional('model', { type: 'string', demandOption: true, describe: 'an ONNX file' })
      .option('policy', { ...shared.policy, default: undefined })
      .option('batch', shared.batch)
      .option('classes', {
        type: 'number',
        requiresArg: true,
        describe: 'number of new classes (default: as many as the model has)',
      })
      .option('size', shared.size)
      .option('hidden', headFlags.hidden)
      .option('bn', headFlags.bn)
      .option('json', shared.json)
      .example('$0 inspect efficientnet_b0.onnx', 'the layers that a policy counts')
      .example('$0 inspect efficientnet_b0.onnx --policy F1C2', 'and what that policy trains and costs')
      .example('$0 inspect efficientnet_b0.onnx --policy blocks:2', 'the last two blocks'),
  handler: (args) => {
    const terminal = new Terminal(args);
    const { hidden, batchNorm } = headOptionsOf({ ...args, dropout: 0 });
    const report = inspect(readModel(args.model), {
      hidden,
      batchNorm,
      batch: wholeNumber('batch', args.batch, 1),
      ...(args.policy === undefined ? {} : { policy: args.policy }),
      ...(args.classes === undefined ? {} : { classes: wholeNumber('classes', args.classes, 2) }),
      ...(args.size === undefined ? {} : { size: wholeNumber('size', args.size, 1) }),
    });
    const trains = ({ trainedParameters, parameters }: LayerReport) =>
      trainedParameters === 0
        ? ''
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
      `${showCount(report.parameters)} parameters, ${showCount(report.multiplyAdds)} multiply-adds an image of ${report.imageSize.join('×')}, ${report.classes} classes`,
    );
    const { policy } = report;
    if (policy) {
      terminal.print(
        `policy ${policy.name}: ${showCount(policy.trainableParameters)} parameters train, ${showPercent(policy.trainableParameters / policy.parameters)}`,
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
    for (const note of policy?.notes ?? []) terminal.print(note);
    for (const warning of policy?.warnings ?? []) terminal.warn(`warning: ${warning}`);
    terminal.json(report);
  },
};
