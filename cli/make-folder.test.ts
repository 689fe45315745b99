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

test('several that make the same folder at once all have it, and one is told of each that was made', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'isthmus-test-'));
  t.after(() => rm(root, { recursive: true }));
  const deep = join(root, 'a/b/c/d/e');
  const made = await Promise.all(Array.from({ length: 8 }, () => makeFolder(deep)));
  assert.ok((await stat(deep)).isDirectory());
  assert.equal(made.filter((first) => first === join(root, 'a')).length, 1);
});

test('where nothing can be made the folder is named, and it ends', async () => {
  await assert.rejects(
    makeFolder('/proc/nowhere/deep'),
    (error) => error instanceof UserError && error.message.includes('/proc/nowhere/deep'),
  );
});
