import { expect, it } from 'vitest';
import { Opened } from '../src/opened.js';

it('closes what was opened, the last first, once', async () => {
  const opened = new Opened();
  const closed: string[] = [];
  expect(opened.add('folder', (name) => closed.push(name))).toBe('folder');
  opened.add('file in it', async (name) => {
    await Promise.resolve();
    closed.push(name);
  });
  await opened.close();
  await opened.close();
  expect(closed).toEqual(['file in it', 'folder']);
});

it('closes the others where one cannot be closed, and throws what the first that failed threw', async () => {
  const opened = new Opened();
  let isClosed = false;
  opened.add('first', () => (isClosed = true));
  opened.add('second', () => Promise.reject(new Error('the second fails')));
  opened.add('third', () => {
    throw new Error('the third fails');
  });
  await expect(opened.close()).rejects.toThrow('the third fails');
  expect(isClosed).toBe(true);
});
