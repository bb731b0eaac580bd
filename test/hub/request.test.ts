import { describe, expect, it } from 'vitest';
import { nextOf } from '../../src/hub/request.js';
import { proxyHint } from '../../src/hub/persistence.js';

const redirect = (location: string | undefined, status = 302) => ({
  status,
  headers: new Headers(location === undefined ? {} : { location }),
});

describe('a redirect', () => {
  const from = new URL('https://hub.example/o/net/resolve/main/model.onnx?x=1');

  it.each([
    ['https://cdn.example/y', 'https://cdn.example/y'],
    ['/api/z', 'https://hub.example/api/z'],
    ['http://127.0.0.1:8000/y', 'http://127.0.0.1:8000/y'],
  ])('to %s is followed', (location, to) => {
    expect(nextOf(from, redirect(location))?.href).toBe(to);
  });

  it.each([
    'http://hub.example/y',
    'http://cdn.example/y',
    'file:///etc/passwd',
    'https://me:word@cdn.example/',
    'https://[',
  ])('to %s is not', (location) => {
    expect(() => nextOf(from, redirect(location))).toThrow(/is not followed/);
  });

  it('is no other answer, and none without a place', () => {
    expect(nextOf(from, redirect('https://cdn.example/', 200))).toBeUndefined();
    expect(nextOf(from, redirect(undefined))).toBeUndefined();
  });
});

it('says what it takes that a proxy counts', () => {
  expect(proxyHint({ https_proxy: 'http://proxy:3128' })).toMatch(/https_proxy counts with NODE_USE_ENV_PROXY=1 alone/);
  expect(proxyHint({ HTTPS_PROXY: 'http://proxy:3128', NODE_USE_ENV_PROXY: '1' })).toBe('');
  expect(proxyHint({})).toBe('');
});
