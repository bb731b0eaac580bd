// Trains every model file of a folder, as packages ship them, and prints a table of what happens.
//   python test/zoo/real_files.py FOLDER; node test/zoo/real-files.js FOLDER > docs/real-files.md
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { drawPictures } from '../../dist/index.js';

const [folder = ''] = process.argv.slice(2);
if (folder === '') throw new Error('usage: node test/zoo/real-files.js FOLDER');
const script = fileURLToPath(new URL('try-model.js', import.meta.url));
const policies = ['F1C0', 'F1C1', 'full'];
const work = mkdtempSync(join(tmpdir(), 'ort-tl-real-'));
const pictures = join(work, 'pictures');
await drawPictures(pictures, { set: 'demo', trainPerClass: 3, valPerClass: 3, size: 64, seed: 3 });

const resultSchema = z.union([
  z.object({ refused: z.string() }),
  z.object({ losses: z.array(z.number()), verified: z.object({ agreeing: z.number(), photos: z.number() }) }),
]);

/**
 * What came of a model and a policy, in words; whether it was refused.
 * @param {string} name
 * @param {string} policy
 */
function tryOne(name, policy) {
  const out = join(work, 'run');
  try {
    const printed = execFileSync(process.execPath, [script, join(folder, name), policy, pictures, out], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const result = resultSchema.parse(JSON.parse(printed.trim().split('\n').at(-1) ?? ''));
    if ('refused' in result) {
      const said = result.refused
        .replaceAll(join(folder, name), 'it')
        .replaceAll(folder, '')
        .replaceAll(/\S*\/run\//g, '');
      return { isRefused: true, cell: `refused: ${said.replaceAll('|', '\\|')}` };
    }
    const { losses, verified } = result;
    const cell = `${(losses[0] ?? NaN).toFixed(2)} → ${(losses.at(-1) ?? NaN).toFixed(2)}; ${verified.agreeing}/${verified.photos}`;
    return { isRefused: false, cell };
  } catch {
    return { isRefused: false, cell: '**broken**' };
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

const lines = [];
for (const name of readdirSync(folder)
  .filter((each) => each.endsWith('.onnx'))
  .sort()) {
  const [packageName = '', file = ''] = name.split('__');
  const cells = [];
  for (const policy of policies) {
    const { isRefused, cell } = tryOne(name, policy);
    cells.push(cell);
    if (isRefused && policy === policies[0]) break;
  }
  while (cells.length < policies.length) cells.push('');
  lines.push(`| ${[packageName, file, ...cells].join(' | ')} |`);
  process.stderr.write(`${name}: ${cells.join('; ')}\n`);
}
rmSync(work, { recursive: true });
console.log(`# Model files as packages ship them

Real files from PyPI (\`test/zoo/real_files.py\` names the packages and their versions), each trained by three policies on eighteen drawn pictures of six classes,
ten epochs with LAMB, by \`node test/zoo/real-files.js FOLDER\`. A cell tells the training loss of the first and the last epoch, and on how many of
eighteen pictures the exported model, in a plain session, gives the class of the evaluation; or what \`ort-tl\` says of a model that is no
classifier of images.

| package | file | ${policies.join(' | ')} |
| --- | --- | ${policies.map(() => '---').join(' | ')} |
${lines.join('\n')}`);
