import { decodePixels } from '../data/decode.js';
import { messageOf, UserError } from '../errors.js';
import { ImageClassifier } from '../runtime/classifier.js';
import { shared, wholeNumber } from './options.js';
import type { Verb } from './verb.js';
import { showPercent, Terminal } from './terminal.js';

interface Arguments {
  model: string;
  photos: string[] | undefined;
  top: number;
  json: boolean;
}

export const verb: Verb<Arguments> = {
  builder: (yargs) =>
    yargs
      .positional('photos', { type: 'string', array: true, describe: 'image files' })
      .option('model', { ...shared.model, describe: 'model.onnx of a run' })
      .option('top', { type: 'number', default: 1, requiresArg: true, describe: 'classes to name for each photo' })
      .option('json', shared.json)
      .example('$0 predict --model runs/first/model.onnx some.jpg other.png', ''),
  handler: async (args) => {
    const terminal = new Terminal(args);
    const top = wholeNumber('top', args.top, 1);
    const photos = args.photos ?? [];
    if (photos.length === 0)
      throw new UserError(
        'no-photos',
        'expected the photos to classify, as in: ort-tl predict --model model.onnx some.jpg',
      );
    const classifier = await ImageClassifier.open(args.model);
    const results: { file: string; classes?: { label: string; probability: number }[]; error?: string }[] = [];
    for (const file of photos) {
      let pixels: Uint8Array;
      try {
        pixels = await decodePixels(file, classifier.preprocessing);
      } catch (thrown) {
        if (!(thrown instanceof UserError)) throw thrown;
        results.push({ file, error: messageOf(thrown) });
        terminal.warn(`ort-tl: ${messageOf(thrown)}`);
        continue;
      }
      const ranked = softmax(await classifier.run(pixels, 1))
        .map((probability, index) => ({ label: classifier.labels[index] ?? String(index), probability }))
        .sort((a, b) => b.probability - a.probability)
        .slice(0, top);
      results.push({ file, classes: ranked });
      terminal.print(
        `${file}  ${ranked.map(({ label, probability }) => `${label} ${showPercent(probability)}`).join(', ')}`,
      );
    }
    await classifier.close();
    terminal.json(results);
    if (results.some(({ error }) => error !== undefined)) process.exitCode = 2;
  },
};

function softmax(scores: Float32Array): number[] {
  const largest = Math.max(...scores);
  const powers = Array.from(scores, (score) => Math.exp(score - largest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}
