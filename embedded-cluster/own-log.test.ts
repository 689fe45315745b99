import assert from 'node:assert/strict';
import { closeSync, existsSync, openSync } from 'node:fs';
import { test } from 'node:test';
import { createOwnLog } from './own-log.ts';

const FULL = '/dev/full';

test('a disk that is full does not end who logs', { skip: !existsSync(FULL) }, (t) => {
  const fd = openSync(FULL, 'w');
  t.after(() => closeSync(fd));
  const log = createOwnLog('info', fd);
  const text = 'x'.repeat(10_000);
  for (let i = 0; i < 300; i++) assert.doesNotThrow(() => log.info(text));
});
