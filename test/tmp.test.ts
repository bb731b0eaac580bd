import { readdirSync } from 'node:fs';
import { it } from 'vitest';
import { inspect } from '../src/artifacts/inspectModel.js';
import { readModel } from '../src/onnx/model.js';
const root = '/work/shared/cases/models';
const files = [
  ...['full-is-not-everything', 'transposed-weights-skipped', 'two-heads-averaged', 'l2-normalized-embedding', 'unclear-refusals'].flatMap((d) => readdirSync(`${root}/${d}`).filter((f) => f.endsWith('.onnx')).map((f) => `${root}/${d}/${f}`)),
  ...readdirSync('test/fixtures/parameters').filter((f) => f.endsWith('.onnx')).map((f) => `test/fixtures/parameters/${f}`),
];
it('shows', () => {
  for (const file of files) {
    console.log('=====', file);
    for (const policy of ['F1C0', 'F1C1', 'full']) {
      try {
        const r = inspect(readModel(file), { batch: 4, policy, classes: 4 });
        if (policy === 'F1C0') console.log(r.layers.map((l) => `${l.policyName}|${l.operator}|${l.name}|${l.parameters}`).join('  '), '\n  buffers', r.buffers.map((b) => `${b.name}:${b.reason}`).join('; '), '\n  only', r.onlyByName.join());
        console.log(policy, r.policy?.trainableParameters, r.policy?.parameters, r.policy?.boundary.map((b) => `${b.name}[${b.shape}]`).join(), r.policy?.warnings.join());
      } catch (e) {
        console.log(policy, String(e).slice(0, 400));
        if (!(e as any).code) console.log((e as Error).stack);
      }
    }
  }
});
