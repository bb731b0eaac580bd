// npm run fuzz -- [--kind damaged|odd] [--count 5000] [--seed 0] [--first 0] [--examples]
import { parseArgs } from 'node:util';
import { fuzz } from './fuzz.js';

const { values } = parseArgs({
  args: process.argv.slice(3),
  options: {
    kind: { type: 'string', default: 'damaged' },
    count: { type: 'string', default: '5000' },
    seed: { type: 'string', default: '0' },
    first: { type: 'string', default: '0' },
    examples: { type: 'boolean', default: false },
  },
});
const [seed, count, first] = [Number(values.seed), Number(values.count), Number(values.first)];
const began = performance.now();
const report = await fuzz(values.kind === 'odd' ? 'odd' : 'damaged', seed, count, first);
for (const [outcome, cases] of [...report.outcomes].sort(([, a], [, b]) => b - a)) {
  const example = values.examples ? `  ${report.examples.get(outcome)?.slice(0, 250) ?? ''}` : '';
  console.log(`${String(cases).padStart(6)}  ${outcome}${example}`);
}
for (const { index, what } of report.failures) console.log(`case ${index}: ${what}`);
console.log(
  `${count} cases of seed ${seed} in ${((performance.now() - began) / 1000).toFixed(1)} s, ${report.failures.length} failures; slowest ${Math.round(report.slowestMs)} ms, peak memory ${Math.round(report.peakRssBytes / 1e6)} MB`,
);
process.exitCode = report.failures.length === 0 ? 0 : 1;
