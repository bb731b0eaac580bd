import { describe, expect, it } from 'vitest';
import { folder, some, studioIn, TOKEN, write } from './studio.js';

const BEARER = { Authorization: `Bearer ${TOKEN}` };

describe('a request for headers alone', () => {
  it('leaves nobody behind who listens', async () => {
    const data = folder();
    await write(data, some('cat', 2));
    const { request, studio } = await studioIn(data);
    for (let time = 0; time < 3; time++) {
      const { status } = await request('/api/events', { method: 'HEAD', headers: BEARER });
      expect(status).toBe(200);
    }
    expect(studio.events.size).toBe(0);
  });
});
