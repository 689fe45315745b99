import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { UserError } from '../errors.ts';
import { createTrustFolder, readAnchor } from './trust-folder.ts';

test('an anchor is made in a folder with its parents, and never over another', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'isthmus-test-'));
  t.after(() => rm(root, { recursive: true }));
  const folder = join(root, 'a/b');
  await createTrustFolder(folder);
  assert.deepEqual((await readdir(folder)).toSorted(), ['ca.crt', 'ca.key']);
  assert.match(await readAnchor(folder), /BEGIN CERTIFICATE/);
  await assert.rejects(createTrustFolder(folder), /is there already/);
});

test('where no folder can be made it ends, and names it', async () => {
  await assert.rejects(
    createTrustFolder('/proc/nowhere'),
    (error) => error instanceof UserError && error.message.includes('/proc/nowhere'),
  );
});
