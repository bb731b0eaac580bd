import { afterAll, describe, expect, it } from 'vitest';
import { messageOf, UserError } from '../../src/errors.js';
import { backendCases, type BackendCase } from './backendCases.js';
import {
  checkCodec,
  checkGradient,
  checkShapes,
  hasRules,
  isInferred,
  NOT_RUN,
  read,
  type Sampled,
  type Verdict,
} from './checks.js';

/** A folder that `npm run test:backend` fills with the ONNX project's cases; nothing of them is in the repository. */
const folder = process.env['ORT_TL_ONNX_CASES'];
const groups = new Map<string, BackendCase[]>();
for (const each of folder ? backendCases(folder) : []) groups.set(each.op, [...(groups.get(each.op) ?? []), each]);
const checks = ['codec', 'shapes', 'gradient'] as const;
type Check = (typeof checks)[number];

const counts = new Map<string, Record<Check, number> & { cases: number }>();
const skipped = new Map<string, number>();
const sampled: Sampled = { compared: 0, kinks: 0 };

describe.skipIf(!folder)('the cases of the ONNX project (skipped unless ORT_TL_ONNX_CASES names their folder)', () => {
  it.each(folder ? [...groups].sort(([a], [b]) => (a < b ? -1 : 1)) : [['', []] as const])('%s', async (op, cases) => {
    const failures: string[] = [];
    for (const each of cases) {
      const verdicts = await verdictsOn(each);
      if (!verdicts) continue;
      const count = counts.get(op) ?? { cases: 0, codec: 0, shapes: 0, gradient: 0 };
      counts.set(op, count);
      count.cases++;
      for (const check of checks) {
        const verdict = verdicts[check];
        if (verdict === 'ok') count[check]++;
        else if ('failed' in verdict) failures.push(`${each.name}: ${check}: ${verdict.failed}`);
        else note(`${check}: ${verdict.skipped}`);
      }
    }
    expect(failures).toEqual([]);
  });

  afterAll(() => {
    const total = (key: Check | 'cases') => [...counts.values()].reduce((sum, count) => sum + count[key], 0);
    const line = (...cells: readonly (string | number)[]) =>
      cells.map((cell, index) => (index === 0 ? String(cell).padEnd(24) : String(cell).padStart(9))).join('');
    const table = [
      line('operator', 'cases', ...checks),
      ...[...counts].map(([op, count]) => line(op, count.cases, ...checks.map((check) => count[check]))),
      line('all', total('cases'), ...checks.map(total)),
      '',
      `${sampled.compared} derivatives compared, ${sampled.kinks} left out on a kink`,
      'not checked, and why:',
      ...[...skipped].sort(([, a], [, b]) => b - a).map(([reason, count]) => `${String(count).padStart(6)}  ${reason}`),
    ];
    console.log(table.join('\n'));
  });
});

function note(reason: string): void {
  skipped.set(reason, (skipped.get(reason) ?? 0) + 1);
}

/** What the checks say of a case; undefined where ort-tl refuses it or does not know its operator. */
async function verdictsOn(source: BackendCase): Promise<Record<Check, Verdict> | undefined> {
  try {
    const each = read(source);
    if (!isInferred(each)) {
      note('case: an operator that ort-tl leaves to ONNX Runtime');
      return undefined;
    }
    const codec = await verdictOf(() => checkCodec(source, each));
    const gradient = async (): Promise<Verdict> => {
      if (!hasRules(each)) return { skipped: 'an operator without a rule' };
      if (typeof codec === 'object' && 'skipped' in codec && codec.skipped === NOT_RUN) return codec;
      return verdictOf(() => checkGradient(each, sampled));
    };
    return { codec, shapes: await verdictOf(() => checkShapes(each)), gradient: await gradient() };
  } catch (thrown) {
    if (!(thrown instanceof UserError)) throw thrown;
    note(`case: refused in one line (${thrown.code})`);
    return undefined;
  }
}

async function verdictOf(check: () => Verdict | Promise<Verdict>): Promise<Verdict> {
  try {
    return await check();
  } catch (thrown) {
    return thrown instanceof UserError
      ? { skipped: `refused in one line (${thrown.code})` }
      : { failed: messageOf(thrown) };
  }
}
