import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { findMeter, type Meter, measureIdle, type MeterOptions, withIdle } from '../../src/energy/meter.js';
import { powercap } from './powercap.js';
import { stoppedClock } from './stoppedClock.js';

const path = process.env['PATH'];
afterEach(() => {
  process.env['PATH'] = path;
});

/**
 * Puts an nvidia-smi on the path that answers as that of driver 580 does, where it was tried on an H100: `answers` by the property
 * asked for, files hold what changes. `--loop-ms=100` prints the answer ten times a second.
 */
function nvidiaSmi(answers: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'ort-tl-nvidia-'));
  for (const [property, answer] of Object.entries(answers)) writeFileSync(join(folder, property), answer);
  const script = `#!/bin/sh
case "$1" in
--help-query-gpu)
  printf 'List of valid properties to query for the switch "--query-gpu":\\n\\n'
  printf '"power.draw.average" or "gpu.power.draw.average"\\nThe last measured average power draw for the entire board, in watts.\\n\\n'
  for each in "${folder}"/*.*; do printf '"%s"\\nWhat it is.\\n\\n' "\${each##*/}"; done ;;
--query-gpu=index,*)
  property="\${1#--query-gpu=index,}"
  if ! [ -f "${folder}/$property" ]; then printf 'Field "%s" is not a valid field to query.\\n\\n' "$property"; exit 2; fi
  cat "${folder}/$property"
  if [ "$3" = --loop-ms=100 ]; then while sleep 0.1; do cat "${folder}/$property" || exit 9; done; fi ;;
esac
`;
  writeFileSync(join(folder, 'nvidia-smi'), script);
  chmodSync(join(folder, 'nvidia-smi'), 0o755);
  process.env['PATH'] = [folder, path].join(delimiter);
  return folder;
}

async function open(options: MeterOptions): Promise<Meter> {
  const access = await findMeter(options);
  if (access.kind === 'none') throw new Error(access.reason);
  return access.open();
}

const nowhere = join(tmpdir(), 'no-such-tree');
const matching = (pattern: RegExp): unknown => expect.stringMatching(pattern);

describe.skipIf(process.platform === 'win32')('NVIDIA', () => {
  it('takes the difference of the energy counter where the driver shows one, whatever its name', async () => {
    const folder = nvidiaSmi({
      name: '0, NVIDIA H100\n1, NVIDIA H100\n',
      'power.draw': '0, 70.00 W\n1, 71.00 W\n',
      'energy.total': '0, 5000000 mJ\n1, [N/A]\n',
    });
    const meter = await open({ energy: 'nvidia' });
    expect(meter.name).toBe('NVIDIA: gpu-0 (NVIDIA H100), its energy counter');
    await meter.start();
    writeFileSync(join(folder, 'energy.total'), '0, 5250000 mJ\n1, [N/A]\n');
    expect(await meter.stop()).toMatchObject({ sources: ['nvidia'], estimated: false, zones: { 'gpu-0': 250 } });
  });

  it('says so where a counter begins anew, and where a GPU does not tell its energy all the time', async () => {
    const folder = nvidiaSmi({
      name: '0, NVIDIA H100\n1, NVIDIA H100\n2, NVIDIA H100\n',
      'energy.total': '0, 5000 mJ\n1, 7000 mJ\n2, 1 kJ\n',
    });
    const meter = await open({ energy: 'nvidia' });
    await meter.start();
    writeFileSync(join(folder, 'energy.total'), '0, 2000 mJ\n1, [N/A]\n2, 1 kJ\n');
    expect(await meter.stop()).toMatchObject({
      grossJ: 2,
      zones: { 'gpu-0': 2, 'gpu-2': 0 },
      notes: [
        'the counter of gpu-0 began anew while it was measured: the driver was loaded again',
        'gpu-1 did not tell its energy all the time',
      ],
    });
    writeFileSync(join(folder, 'energy.total'), '0, 2 J\n1, 7 J\n2, 1 kJ\n');
    await meter.start();
    writeFileSync(join(folder, 'energy.total'), '0, 2.5 J\n1, 10 J\n2, 3 kJ\n');
    expect(await meter.stop()).toMatchObject({ zones: { 'gpu-0': 0.5, 'gpu-1': 3, 'gpu-2': 2000 }, notes: [] });
    process.env['PATH'] = nowhere;
    await expect(meter.stop()).rejects.toThrow(/nvidia-smi failed while it was asked.*gpu-0 did not tell its energy/);
  });

  it('adds up samples of the power elsewhere, and says so', async () => {
    nvidiaSmi({ name: '0, NVIDIA L4\n1, Tesla T4\n', 'power.draw': '0, 40.00 W\n1, [N/A]\n' });
    const meter = await open({ energy: 'nvidia' });
    expect(meter.name).toBe('NVIDIA: gpu-0 (NVIDIA L4), samples of its power');
    for (let turn = 0; turn < 2; turn++) {
      await meter.start();
      // Long enough that what a busy machine takes between the meter's clock and the GPU's does not count.
      await sleep(1500);
      const { grossJ, seconds, notes } = await meter.stop();
      expect(grossJ / seconds).toBeCloseTo(40, 0);
      expect(notes).toEqual(['gpu-0: power samples, ten a second, added up']);
    }
  });

  it.each([
    ['power.draw', 1000, 40, []],
    ['power.draw.instant', 1000, 40, []],
    ['power.draw', 1100, 44, ['gpu-0 did not tell its power for 1.1 s']],
    ['power.draw', 60_000, 2400, ['gpu-0 did not tell its power for 60.0 s']],
  ])(
    'says so where a GPU tells nothing for more than a second: %s for %d ms',
    async (property, gapMs, joules, told) => {
      nvidiaSmi({ name: '0, NVIDIA L4\n', [property]: '0, 40000.00 mW\n' });
      const meter = await open({ energy: 'nvidia' });
      const clock = stoppedClock();
      await meter.start();
      // All samples up to here were taken at 0, and all from here on at once.
      clock.monotonicMs = gapMs;
      const { grossJ, seconds, notes } = await meter.stop();
      expect(grossJ).toBeCloseTo(joules, 9);
      expect(seconds).toBe(gapMs / 1000);
      expect(notes).toEqual(['gpu-0: power samples, ten a second, added up', ...told]);
    },
  );

  it('counts a mean of the last second from half a second after the start to as much after the stop', async () => {
    nvidiaSmi({ name: '0, NVIDIA L4\n', 'power.draw.average': '0, 40.00 W\n' });
    const meter = await open({ energy: 'nvidia' });
    const clock = stoppedClock();
    await meter.start();
    clock.monotonicMs = 1000;
    const stopping = meter.stop();
    clock.monotonicMs = 1500;
    expect((await stopping).grossJ).toBeCloseTo(40, 9);
  });

  it('reads a mean of the last second half a second later', async () => {
    const folder = nvidiaSmi({
      name: '0, NVIDIA H100 80GB HBM3\n',
      'power.draw': '0, 1.00 W\n',
      'power.draw.instant': '0, 2.00 W\n',
      'power.draw.average': '0, 74.27 W\n',
    });
    const meter = await open({ energy: 'nvidia' });
    await meter.start();
    const began = performance.now();
    await sleep(400);
    const stopping = meter.stop();
    // Told after it was stopped, and from before, because the mean lags.
    writeFileSync(join(folder, 'power.draw.average'), '0, 674.27 W\n');
    const { grossJ, seconds } = await stopping;
    expect(performance.now() - began).toBeGreaterThan(900);
    expect(grossJ / seconds).toBeGreaterThan(500);
    expect(seconds).toBeLessThan(0.8);
  });

  /** An nvidia-smi that writes its number where it is asked for power again and again, and whether that one runs. */
  function toldNvidiaSmi(): () => boolean {
    const folder = nvidiaSmi({ name: '0, NVIDIA L4\n', 'power.draw': '0, 40.00 W\n' });
    const script = join(folder, 'nvidia-smi');
    // Before the first sample.
    writeFileSync(
      script,
      readFileSync(script, 'utf8').replace('then while', () => `then echo $$ > "${folder}/pid"; while`),
    );
    return () => {
      try {
        return process.kill(Number(readFileSync(join(folder, 'pid'), 'utf8')), 0);
      } catch {
        return false;
      }
    };
  }

  it('ends nvidia-smi where the counters of the processor are gone', async () => {
    const runs = toldNvidiaSmi();
    const tree = powercap({ 'intel-rapl:0': { name: 'package-0', energyUj: 0 } });
    const meter = await open({ energy: 'auto', powercap: tree.root });
    await meter.start();
    await vi.waitUntil(runs, { timeout: 10_000 });
    await meter.stop();
    tree.remove('intel-rapl:0');
    await expect(meter.start()).rejects.toThrow(/energy cannot be measured: /);
    await vi.waitUntil(() => !runs(), { timeout: 10_000 });
  });

  it('waits for no sample once it is closed', async () => {
    nvidiaSmi({ name: '0, NVIDIA L4\n', 'power.draw': '0, 40.00 W\n' });
    const meter = await open({ energy: 'nvidia' });
    const starting = meter.start().then(() => 'started');
    meter.close();
    const later = new Promise((resolve) => setImmediate(resolve, 'still waiting'));
    expect(await Promise.race([starting, later])).toBe('started');
  });

  it('leaves neither a timer nor an nvidia-smi behind, started twice too', async () => {
    nvidiaSmi({ name: '0, NVIDIA L4\n', 'power.draw': '0, 40.00 W\n' });
    const meter = await open({ energy: 'nvidia' });
    // A timer keeps a process from ending; an nvidia-smi that runs is to be ended with it.
    const timers = () => process.getActiveResourcesInfo().filter((each) => each === 'Timeout').length;
    const [before, listeners] = [timers(), process.listenerCount('exit')];
    await meter.start();
    await meter.start();
    meter.close();
    // One of before may end meanwhile.
    expect(timers()).toBeLessThanOrEqual(before);
    expect(process.listenerCount('exit')).toBe(listeners);
  });

  it('ends nvidia-smi where nobody wants the reading, and where looking at the idle machine is stopped', async () => {
    const runs = toldNvidiaSmi();
    const meter = await open({ energy: 'nvidia' });
    const listeners = process.listenerCount('exit');
    await meter.start();
    await vi.waitUntil(runs, { timeout: 10_000 });
    meter.close();
    // Nothing is left to be done at the end of this process.
    expect(process.listenerCount('exit')).toBe(listeners);
    await vi.waitUntil(() => !runs(), { timeout: 10_000 });
    const controller = new AbortController();
    const looking = measureIdle(meter, 3600, controller.signal);
    await vi.waitUntil(runs, { timeout: 10_000 });
    controller.abort();
    await expect(looking).rejects.toMatchObject({ code: 'stopped' });
    await vi.waitUntil(() => !runs(), { timeout: 10_000 });
  });

  it('says so where nvidia-smi ends in the middle, or is gone', async () => {
    const folder = nvidiaSmi({ name: '0, NVIDIA L4\n', 'power.draw': '0, 40.00 W\n' });
    const meter = await open({ energy: 'nvidia' });
    const listeners = process.listenerCount('exit');
    await meter.start();
    await sleep(250);
    rmSync(join(folder, 'power.draw'));
    // Nothing is left to be done at the end of this process.
    await vi.waitUntil(() => process.listenerCount('exit') === listeners, { timeout: 10_000 });
    const stopping = meter.stop();
    // No sample is waited for that will never come.
    const later = new Promise((resolve) => setImmediate(resolve, 'still waiting'));
    expect(await Promise.race([stopping, later])).not.toBe('still waiting');
    const { grossJ, notes } = await stopping;
    expect(grossJ).toBeGreaterThan(0);
    expect(notes).toEqual([
      'gpu-0: power samples, ten a second, added up',
      'nvidia-smi ended while it was asked: exit code 9',
      'gpu-0 did not tell its power all the time',
    ]);
    process.env['PATH'] = nowhere;
    await meter.start();
    await expect(meter.stop()).rejects.toThrow(/energy cannot be measured: .*nvidia-smi ended.*ENOENT/);
  });

  it('says why there is none: no driver, or a GPU that tells nothing', async () => {
    process.env['PATH'] = nowhere;
    expect(await findMeter({ energy: 'nvidia' })).toMatchObject({
      kind: 'none',
      reason: matching(/no nvidia-smi on the path/),
    });
    nvidiaSmi({ name: '0, GeForce GT 710\n', 'power.draw': '0, [N/A]\n' });
    expect(await findMeter({ energy: 'nvidia' })).toMatchObject({
      reason: matching(/neither energy nor power of any GPU/),
    });
  });

  it('says what nvidia-smi said last where it fails, or that it failed where it said nothing', async () => {
    const script = join(nvidiaSmi({}), 'nvidia-smi');
    const failing = async (says: string) => {
      writeFileSync(script, `#!/bin/sh\n${says}\nexit 9\n`);
      return findMeter({ energy: 'nvidia' });
    };
    expect(await failing("echo 'Loading.' >&2; echo 'It could not talk to the driver.'; echo")).toEqual({
      kind: 'none',
      reason: 'nvidia-smi fails: It could not talk to the driver.',
    });
    expect(await failing('')).toMatchObject({ reason: matching(/^nvidia-smi fails: Command failed: nvidia-smi/) });
  });

  it('is added to the processor when both are there', async () => {
    const folder = nvidiaSmi({ name: '0, NVIDIA L4\n', 'energy.total': '0, 1000 mJ\n' });
    const tree = powercap({ 'intel-rapl:0': { name: 'package-0', energyUj: 0 } });
    const meter = await open({ energy: 'auto', powercap: tree.root });
    await meter.start();
    tree.set('intel-rapl:0', 5_000_000);
    writeFileSync(join(folder, 'energy.total'), '0, 3000 mJ\n');
    expect(await meter.stop()).toMatchObject({
      ...{ sources: ['rapl', 'nvidia'], grossJ: 7, zones: { 'package-0': 5, 'gpu-0': 2 }, notes: [] },
    });
    const alone = await open({ energy: 'auto', powercap: nowhere });
    await alone.start();
    expect((await alone.stop()).notes).toEqual([matching(/the processor's energy is not in it: .*no RAPL/)]);
  });
});

describe('findMeter', () => {
  it('measures the processor alone where there is no GPU, and says nothing of one', async () => {
    process.env['PATH'] = nowhere;
    const meter = await open({
      energy: 'auto',
      powercap: powercap({ 'intel-rapl:0': { name: 'package-0', energyUj: 0 } }).root,
    });
    expect(meter.name).toBe('RAPL: package-0');
    await meter.start();
    expect(await meter.stop()).toMatchObject({ sources: ['rapl'], notes: [] });
  });

  it('never estimates by itself, and names what is missing', async () => {
    process.env['PATH'] = nowhere;
    expect(await findMeter({ energy: 'auto', powercap: nowhere })).toMatchObject({
      ...{ kind: 'none', reason: matching(/shows no RAPL counters.*; there is no nvidia-smi/) },
    });
    expect(await findMeter({ energy: 'none' })).toMatchObject({ kind: 'none' });
  });

  it('refuses an estimate without watts, and watts without an estimate', async () => {
    await expect(findMeter({ energy: 'estimate' })).rejects.toThrow(/watts that one busy core draws.*`nothing`/);
    await expect(findMeter({ energy: 'estimate', watts: 0 })).rejects.toThrow(/got `0` \(watts\)/);
    await expect(findMeter({ energy: 'estimate', watts: -1 })).rejects.toThrow(/got `-1` \(watts\)/);
    await expect(findMeter({ energy: 'estimate', watts: Infinity })).rejects.toThrow(/got `Infinity` \(watts\)/);
    await expect(findMeter({ energy: 'auto', watts: 5 })).rejects.toThrow(/energy estimate beside watts/);
  });
});

describe('an estimate', () => {
  it('tells how long the work took', async () => {
    const clock = stoppedClock();
    const meter = await open({ energy: 'estimate', watts: 7 });
    clock.monotonicMs = 5000;
    await meter.start();
    clock.monotonicMs = 65_000;
    expect((await meter.stop(3)).seconds).toBe(60);
  });

  it('is CPU seconds times watts, says that it is one, and is none without CPU seconds', async () => {
    const meter = await open({ energy: 'estimate', watts: 7 });
    expect(meter.name).toBe('estimate: CPU seconds × 7 W a busy core');
    await meter.start();
    expect(await meter.stop(3)).toMatchObject({ sources: ['estimate'], estimated: true, grossJ: 21, netJ: null });
    await expect(meter.stop(null)).rejects.toThrow(/CPU seconds/);
  });
});

/** A meter whose readings are given: joules over two seconds each. */
function toldMeter(...joules: readonly number[]): Meter {
  const left = joules.values();
  return {
    name: 'told',
    sources: [],
    start: () => Promise.resolve(),
    stop: () => {
      const grossJ = left.next().value ?? NaN;
      const rest = { sources: [], estimated: false, idleJ: null, netJ: null, notes: [] };
      return Promise.resolve({ ...rest, seconds: 2, grossJ, zones: { 'package-0': grossJ / 2 } });
    },
    close: () => undefined,
  };
}

describe('looking at the idle machine', () => {
  it('looks at it twice, for half of the time each', async () => {
    const told: string[] = [];
    const timers: NodeJS.Timeout[] = [];
    const remind = (ms: number) => timers.push(setTimeout(() => told.push(`${ms} ms`), ms));
    const meter = toldMeter(1, 1);
    // Timers that are set at once end in their order, however busy the machine is.
    await measureIdle(
      {
        ...meter,
        start: () => {
          told.push('start');
          remind(80);
          remind(130);
          return meter.start();
        },
        stop: () => {
          told.push('stop');
          timers.splice(0).forEach(clearTimeout);
          return meter.stop();
        },
      },
      0.2,
    );
    expect(told).toEqual(['start', '80 ms', 'stop', 'start', '80 ms', 'stop']);
  });

  it('ends what it began, once it is done', async () => {
    let closed = 0;
    const meter = { ...toldMeter(1, 1, 1, 1), close: () => (closed += 1) };
    const controller = new AbortController();
    await measureIdle(meter, 0, controller.signal);
    controller.abort();
    expect(closed).toBe(1);
  });

  it('fails as the meter fails, and ends at once where it is stopped', async () => {
    const controller = new AbortController();
    const broken = { ...toldMeter(), start: () => Promise.reject(new Error('no counter')) };
    await expect(measureIdle(broken, 0, controller.signal)).rejects.toThrow('no counter');
    // A start that waits until somebody closes the meter.
    let end = (): void => undefined;
    const waiting = {
      ...toldMeter(1, 1),
      start: () => new Promise<void>((resolve) => (end = resolve)),
      close: () => {
        end();
      },
    };
    const looking = measureIdle(waiting, 3600, controller.signal);
    controller.abort();
    await expect(looking).rejects.toMatchObject({ code: 'stopped' });
  });
});

describe('the idle baseline', () => {
  it('is the mean over both halves, of the whole and of each zone', async () => {
    expect(await measureIdle(toldMeter(200, 220), 0)).toEqual({
      ...{ seconds: 4, watts: 105, zones: { 'package-0': 52.5 }, notes: [] },
    });
  });

  it.each([
    [200, 250, true],
    [250, 200, true],
    [200, 252, false],
    [252, 200, false],
    // Small powers may differ by five watts.
    [8, 18, true],
    [8, 20, false],
  ])('tells whether the machine was idle: %d J, then %d J in two seconds each', async (before, after, isIdle) => {
    const { notes } = await measureIdle(toldMeter(before, after), 0);
    expect(notes).toHaveLength(isIdle ? 0 : 1);
  });

  it('is taken off the time that was measured', async () => {
    process.env['PATH'] = nowhere;
    const tree = powercap({ 'intel-rapl:0': { name: 'package-0', energyUj: 0 } });
    const meter = await open({ energy: 'auto', powercap: tree.root });
    setTimeout(() => {
      tree.set('intel-rapl:0', 10_000_000);
    }, 50);
    const idle = await measureIdle(meter, 0.2);
    expect(idle.watts * idle.seconds).toBeCloseTo(10, 6);
    expect(idle.zones['package-0']).toBe(idle.watts);
    expect(idle.notes).toEqual([matching(/^the machine was not idle before: \d+ W, then 0 W; let it come to rest/)]);
    await meter.start();
    tree.set('intel-rapl:0', 35_000_000);
    const reading = withIdle(await meter.stop(), { ...idle, watts: 4 });
    expect(reading.grossJ).toBeCloseTo(25, 6);
    expect(reading.idleJ).toBeCloseTo(4 * reading.seconds, 6);
    expect(reading.netJ).toBeCloseTo(25 - 4 * reading.seconds, 6);
    expect(reading.notes).toContain(idle.notes[0]);
    expect((await measureIdle(meter, 0.02)).notes).toEqual([]);
  });
});
