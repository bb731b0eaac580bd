import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { RunResult } from '../../src/bench/runResult.js';
import { readSuite } from '../../src/bench/suiteFile/readSuite.js';
import { writeSuiteReport } from '../../src/bench/suiteReport.js';
import { runsOf } from '../../src/bench/suiteRuns.js';

const SUITE = `title: Fish & <chips>
models: { cnn: small_cnn }
data: { pets: { drawn: { train: 2, val: 1 }, title: "<pets>" } }
policies: [F1C0]
`;
const REASON = 'no <counter> & no "meter"';

const RESULT: RunResult = {
  top1: 0.5,
  bestEpoch: 1,
  curve: [{ epoch: 1, seconds: 2, computeSeconds: 1, trainLoss: 1, trainTop1: 0.5, valLoss: 1, top1: 0.5 }],
  ...{ trainPhotos: 12, valPhotos: 6, learningRate: 0.1, batch: 4 },
  ...{ trainableParameters: 10, parameters: 100, boundaryBytes: 8 },
  ...{ wallSeconds: 3, cpuSeconds: 4, peakRssBytes: 1e6, readBytes: null, writtenBytes: null },
  ...{ energy: null, energyNotMeasured: REASON, notes: ['a <note>'] },
};

it('escapes what comes from outside in a report, and escapes it once', async () => {
  const out = mkdtempSync(join(tmpdir(), 'ort-tl-'));
  const file = join(out, 'suite.yaml');
  writeFileSync(file, SUITE);
  const suite = readSuite(file);
  const machine = { system: 'Linux', processor: '<fast>', cores: 2, memoryBytes: 8e9 };
  const versions = { 'ort-tl': '1', node: '20', 'onnxruntime-node': '1', sharp: '0' };
  const outcomes = runsOf(suite).map((run) => ({ run, result: RESULT, error: undefined, at: undefined }));
  await writeSuiteReport(
    { suite, machine: { ...machine, versions }, energy: `not measured: ${REASON}`, outcomes, otherRecords: 0 },
    out,
  );
  const page = readFileSync(join(out, 'report.html'), 'utf8');
  for (const raw of ['<chips>', '<pets>', '<counter>', '<fast>', '<note>']) expect(page).not.toContain(raw);
  // Below the table, in the caption of the costs, and among the facts.
  expect(page.split('no &lt;counter&gt; &amp; no &quot;meter&quot;')).toHaveLength(4);
  expect(page).not.toContain('&amp;lt;');
});
