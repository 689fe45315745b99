import assert from 'node:assert/strict';
import { test } from 'node:test';
import { composeCommand } from './environment.ts';

const intoRoot = (text: string): string =>
  text.startsWith('/tmp/') || text === '/tmp' ? `/tmp/data/root${text}` : text;

test('paths of the container are led into its root; the image and what variables bring in are not', () => {
  const image = { command: ['/tmp/checkout/node', '/tmp/checkout/main.ts'] };
  const container = { name: 'c', args: ['/tmp/own', '$(FILE)', '--x=/tmp/kept'] };
  assert.deepEqual(composeCommand(container, image, { FILE: '/tmp/data/root/tmp/f' }, intoRoot), [
    '/tmp/checkout/node',
    '/tmp/checkout/main.ts',
    '/tmp/data/root/tmp/own',
    '/tmp/data/root/tmp/f',
    '--x=/tmp/kept',
  ]);
});

test('a command of the pod stands for the entry point', () => {
  const container = { name: 'c', command: ['/tmp/tool'], args: ['a'] };
  assert.deepEqual(composeCommand(container, { command: ['/image'] }, {}, intoRoot), [
    '/tmp/data/root/tmp/tool',
    'a',
  ]);
});
