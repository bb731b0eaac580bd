import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { drawPictures } from '../../src/data/pictures.js';
import { SMALL_CNN } from '../models.js';
import { main } from './cli.js';

const built = (name: string) => JSON.stringify(new URL(`../../dist/${name}.js`, import.meta.url).href);

describe.skipIf(process.platform === 'win32')('output that nobody reads any more', () => {
  it('ends the process as SIGPIPE does, even while a worker runs the model', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ort-tl-'));
    await drawPictures(join(folder, 'pictures'), { set: 'demo', trainPerClass: 20, valPerClass: 2, seed: 0 });
    const flags = ['--model', SMALL_CNN, '--data', 'pictures', '--policy', 'full', '--epochs', '50', '--out', 'out'];
    const running = spawn(process.execPath, [main, 'train', ...flags], { cwd: folder });
    let [lines, told] = ['', ''];
    running.stderr.setEncoding('utf8').on('data', (text: string) => (told += text));
    running.stdout.setEncoding('utf8').on('data', (text: string) => {
      lines += text;
      if (lines.includes('epoch ')) running.stdout.destroy();
    });
    await once(running, 'close');
    expect(running.signalCode).toBe('SIGPIPE');
    expect(told).toBe('');
  });
});

describe.skipIf(process.platform === 'win32')('a signal that no verb handles', () => {
  it('ends the process by itself and undoes what is left, even while a worker runs the model', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ort-tl-'));
    await drawPictures(join(folder, 'pictures'), { set: 'demo', trainPerClass: 20, valPerClass: 2, seed: 0 });
    // In a file, since a worker is given the flags of the command line.
    const script = join(folder, 'script.mjs');
    writeFileSync(
      script,
      `
      import { listenToSignals } from ${built('cli/interruption')};
      import { modelHere, openDataset, readModel, Trainer } from ${built('internal')};
      import { onExit } from ${built('onExit')};
      listenToSignals();
      onExit(() => console.log('undone'));
      const dataset = await openDataset('pictures', { seed: 0 });
      const trainer = new Trainer({ model: readModel(modelHere('small_cnn').path), dataset, policy: 'full', out: 'out', epochs: 50 });
      await trainer.run(({ type }) => {
        if (type === 'epoch') setTimeout(() => process.kill(process.pid, 'SIGTERM'), 10);
      });
      `,
    );
    const { stdout, stderr, signal } = spawnSync(process.execPath, [script], { cwd: folder, encoding: 'utf8' });
    expect(stderr).toBe('');
    expect(stdout).toBe('undone\n');
    expect(signal).toBe('SIGTERM');
  });
});
