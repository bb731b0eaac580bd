import { expect, it } from 'vitest';
import { parseShard } from '../src/shard.js';

it('reads the part and how many there are', () => {
  expect(parseShard('3/8', {})).toEqual({ index: 3, count: 8 });
  for (const wrong of ['0/3', '4/3', '1/0', '3', 'one/two', '1/2/3', '-1/3', '1.5/3', ''])
    expect(() => parseShard(wrong, {}), wrong).toThrow(expect.objectContaining({ code: 'bad-arguments' }));
});

it.each([
  // As sbatch --array=0-7, and 10-80:10, set them.
  [{ SLURM_ARRAY_TASK_ID: '2', SLURM_ARRAY_TASK_MIN: '0', SLURM_ARRAY_TASK_STEP: '1', SLURM_ARRAY_TASK_COUNT: '8' }, 3],
  [
    { SLURM_ARRAY_TASK_ID: '80', SLURM_ARRAY_TASK_MIN: '10', SLURM_ARRAY_TASK_STEP: '10', SLURM_ARRAY_TASK_COUNT: '8' },
    8,
  ],
  [{ JOB_COMPLETION_INDEX: '0', SHARDS: '8' }, 1],
  [{ JOB_COMPLETION_INDEX: '7', JOB_COMPLETIONS: '8' }, 8],
  [{ AWS_BATCH_JOB_ARRAY_INDEX: '4', AWS_BATCH_JOB_ARRAY_SIZE: '8' }, 5],
  [{ SHARD: '5', SHARDS: '8' }, 5],
])('finds in %o which part this is', (env, index) => {
  expect(parseShard('auto', env)).toMatchObject({ index, count: 8 });
});

it('takes the first engine whose variables are complete, and says which it was', () => {
  const both = { SLURM_ARRAY_TASK_ID: '2', SLURM_ARRAY_TASK_COUNT: '3', SHARD: '1', SHARDS: '8' };
  expect(parseShard('auto', both)).toMatchObject({
    index: 2,
    count: 3,
    readFrom: expect.stringMatching(/^Slurm/) as string,
  });
  const { SLURM_ARRAY_TASK_COUNT: _, ...part } = both;
  expect(parseShard('auto', part)).toMatchObject({
    index: 1,
    count: 8,
    readFrom: expect.stringMatching(/^plain/) as string,
  });
});

it('names in one line all that it looks for', () => {
  expect(() => parseShard('auto', { SHARD: 'x', SHARDS: '8' })).toThrow(
    /SLURM_ARRAY_TASK_ID .*JOB_COMPLETION_INDEX .*AWS_BATCH_JOB_ARRAY_INDEX .*SHARD, from 1 on, and SHARDS .*such as 3\/8$/,
  );
  expect(() => parseShard('auto', { SHARD: '9', SHARDS: '8' })).toThrow(
    'expected a shard from 1 to 8, got `9/8`, read from plain variables',
  );
});
