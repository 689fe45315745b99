import assert from 'node:assert/strict';
import { test } from 'node:test';
import { homeFolder } from './home-folder.ts';

test('is what the system says; who has none gets the root folder', () => {
  assert.equal(
    homeFolder(() => '/home/me'),
    '/home/me',
  );
  for (const read of [() => '', () => assert.fail('uv_os_homedir returned ENOENT')])
    assert.equal(homeFolder(read), '/');
});
