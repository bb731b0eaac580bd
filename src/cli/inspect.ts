import { inspect } from '../artifacts/inspect.js';
import { readModel } from '../onnx/model.js';
import { shared, wholeNumber } from './options.js';
import type { Verb } from './verb.js';
import { showBytes, showCount, showPercent, table, Terminal } from './terminal.js';

interface Arguments {
  model: string;
  policy: string | undefined;
  batch: number;
  classes: number | undefined;
  size: number | undefined;
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
      .option('json', shared.json)
      .example('$0 inspect efficientnet_b0.onnx', 'the layers that a policy counts')
      .example('$0 inspect efficientnet_b0.onnx --policy F1C2', 'and what that policy trains and costs'),
  handler: (args) => {
    const terminal = new Terminal(args);
    const report = inspect(readModel(args.model), {
      batch: wholeNumber('batch', args.batch, 1),
      ...(args.policy === undefined ? {} : { policy: args.policy }),
      ...(args.classes === undefined ? {} : { classes: wholeNumber('classes', args.classes, 2) }),
      ...(args.size === undefined ? {} : { size: wholeNumber('size', args.size, 1) }),
    });
    const rows = report.layers.map(({ policyName, name, operator, outputShape, parameters, multiplyAdds, trained }) => [
      ...(args.policy === undefined ? [] : [trained ? 'trained' : '']),
      policyName,
      operator,
      name,
      outputShape.join('×'),
      showCount(parameters),
      showCount(multiplyAdds),
    ]);
    const headings = ['layer', 'operator', 'name', 'output', 'parameters', 'multiply-adds'];
    for (const line of table([args.policy === undefined ? headings : ['', ...headings], ...rows])) terminal.print(line);
    terminal.print();
    terminal.print(
      `${showCount(report.parameters)} parameters, ${showCount(report.multiplyAdds)} multiply-adds an image of ${report.imageSize.join('×')}, ${report.classes} classes`,
    );
    const { policy } = report;
    if (policy) {
      terminal.print(
        `policy ${policy.name}: ${showCount(policy.trainableParameters)} parameters train, ${showPercent(policy.trainableParameters / report.parameters)}`,
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
    terminal.json(report);
  },
};
