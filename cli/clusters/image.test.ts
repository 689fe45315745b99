import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { entrypointOf } from '../../image/layout.ts';
import { UserError } from '../errors.ts';
import { ownImage, sharedImage } from './image.ts';

async function folders(t: TestContext): Promise<{ own: string; shared: string }> {
  const dir = await mkdtemp(join(tmpdir(), 'isthmus-image-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return { own: join(dir, 'own'), shared: join(dir, 'cache', 'images') };
}

function maker() {
  const made: string[] = [];
  const make = async (folder: string): Promise<void> => {
    made.push(folder);
    await mkdir(dirname(entrypointOf(folder)), { recursive: true });
    await writeFile(entrypointOf(folder), String(made.length));
  };
  return { made, make };
}

test('the shared image is made once, whole or not at all, and found again', async (t) => {
  const { own, shared } = await folders(t);
  const { made, make } = maker();
  const first = await sharedImage(own, make, shared);
  assert.equal(dirname(first.folder), shared);
  await first.made;
  assert.ok(existsSync(entrypointOf(first.folder)));
  const second = await sharedImage(own, make, shared);
  await second.made;
  assert.equal(second.folder, first.folder);
  assert.equal(made.length, 1);
  assert.deepEqual(await readdir(shared), [first.folder.slice(shared.length + 1)]);
});

test('two that make it at once get the same one, and leave nothing else', async (t) => {
  const { own, shared } = await folders(t);
  const { made, make } = maker();
  const images = await Promise.all([sharedImage(own, make, shared), sharedImage(own, make, shared)]);
  await Promise.all(images.map((image) => image.made));
  assert.equal(images[0].folder, images[1].folder);
  assert.equal(made.length, 1);
  assert.equal((await readdir(shared)).length, 1);
});

test('what cannot be made is told with its folder, and leaves nothing', async (t) => {
  const { own, shared } = await folders(t);
  const image = await sharedImage(own, () => Promise.reject(new Error('no space left')), shared);
  await assert.rejects(image.made, (error) => {
    assert.ok(error instanceof UserError);
    return error.message.includes(image.folder) && error.message.endsWith('no space left');
  });
  assert.deepEqual(await readdir(shared), []);
});

test('where nothing can be written the image is the cluster’s own', async (t) => {
  const { own } = await folders(t);
  const { make } = maker();
  const image = await sharedImage(own, make, '/proc/isthmus/images');
  await image.made;
  assert.equal(image.folder, own);
  assert.ok(existsSync(entrypointOf(own)));
});

test('an own image is made anew at each start', async (t) => {
  const { own } = await folders(t);
  const { made, make } = maker();
  await ownImage(own, make).made;
  await ownImage(own, make).made;
  assert.equal(made.length, 2);
  assert.ok(existsSync(entrypointOf(own)));
});

test('images that nobody has used for a week go when another one is made', async (t) => {
  const { own, shared } = await folders(t);
  const [old, young] = [join(shared, 'old'), join(shared, 'young')];
  await Promise.all([mkdir(old, { recursive: true }), mkdir(young, { recursive: true })]);
  const eightDays = 8 * 24 * 3_600_000;
  const longAgo = new Date(Date.now() - eightDays);
  await utimes(old, longAgo, longAgo);
  const { make } = maker();
  const image = await sharedImage(own, make, shared);
  await image.made;
  await assert.rejects(stat(old), { code: 'ENOENT' });
  assert.ok(existsSync(young) && existsSync(image.folder));
});
