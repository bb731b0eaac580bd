import { expect, it } from 'vitest';
import { tensorBoardFile } from '../../src/train/tensorboard.js';

it('writes the bytes that TensorBoard writes for the same events', () => {
  // From tensorboard 2.20's RecordWriter and Event (file_version at wall time 1.5, then two scalars at step 3).
  const expected = [
    '1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c',
    '31000000000000009d8383e909000000000000044010032a240a110a0a6c6f73732f747261696e150000803e0a0f0a08746f70312f76616c150000003f88c28268',
  ];
  const scalars = new Map([
    ['loss/train', 0.25],
    ['top1/val', 0.5],
  ]);
  const bytes = tensorBoardFile([{ wallTime: 2.5, step: 3, scalars }]);
  const [header, event] = [bytes.subarray(0, 40), bytes.subarray(40)];
  expect(event.toString('hex')).toBe(expected[1]);
  // The header's time is the first event's.
  expect(header.subarray(0, 13).toString('hex')).toBe(expected[0]?.slice(0, 26));
  expect(header.subarray(21, 36).toString('hex')).toBe(expected[0]?.slice(42, 72));
});
