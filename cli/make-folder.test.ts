import assert from 'node:assert/strict';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { UserError } from './errors.ts';
import { makeFolder } from './make-folder.ts';

test('a folder is made with its parents, and the first one made is told', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'isthmus-test-'));
  t.after(() => rm(root, { recursive: true }));
  assert.equal(await makeFolder(join(root, 'a/b/c')), join(root, 'a'));
  assert.ok((await stat(join(root, 'a/b/c'))).isDirectory());
  assert.equal(await makeFolder(join(root, 'a/b')), undefined);
});

test('where nothing can be made the folder is named, and it ends', async () => {
  await assert.rejects(
    makeFolder('/proc/nowhere/deep'),
    (error) => error instanceof UserError && error.message.includes('/proc/nowhere/deep'),
  );
});
