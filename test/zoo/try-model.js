// Trains one model by one policy on twenty drawn pictures, in a process of its own, and prints what came of it as JSON.
//   node test/zoo/try-model.js MODEL POLICY PICTURES OUT
import { openDataset, optimizers, readModel, Trainer, UserError } from '../../dist/index.js';

const [path = '', policy = '', pictures = '', out = ''] = process.argv.slice(2);
try {
  const dataset = await openDataset(pictures, { seed: 0 });
  /** @type {number[]} */
  const losses = [];
  let compileMs = 0;
  const trainer = new Trainer({
    model: readModel(path),
    dataset,
    policy,
    out,
    epochs: 10,
    batch: 10,
    schedule: 'constant',
    warmupEpochs: 0,
    // Its steps are in proportion to the weights, whatever the size of a random network's features.
    optimizer: optimizers.lamb,
    learningRate: policy === 'full' ? 3e-4 : 2e-3,
    // This one normalizes by itself.
    ...(path.includes('EfficientNetB0-tf') ? { preprocessing: 'none' } : {}),
    threads: 1,
  });
  const summary = await trainer.run((event) => {
    if (event.type === 'compiled') compileMs = event.elapsedMs;
    if (event.type === 'epoch') losses.push(event.result.trainLoss);
  });
  const { verified, peakRssBytes, cost } = summary;
  console.log(JSON.stringify({ compileMs, losses, verified, peakRssBytes, trainable: cost.trainableParameters }));
} catch (thrown) {
  if (!(thrown instanceof UserError)) throw thrown;
  console.log(JSON.stringify({ refused: thrown.message }));
}
