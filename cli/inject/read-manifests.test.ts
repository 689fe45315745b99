import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { readManifests } from './read-manifests.ts';

async function folder(t: TestContext, files: Record<string, string>): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'isthmus-manifests-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  await mkdir(join(dir, 'below'));
  for (const [name, text] of Object.entries(files)) await writeFile(join(dir, name), text);
  return dir;
}

test('a folder stands for the manifests in and below it, in the order of their names', async (t) => {
  const dir = await folder(t, {
    'b.yaml': 'kind: B\n---\nkind: B2',
    'a.json': '{"kind": "A"}',
    'README.md': '# no manifest',
    'below/c.yml': 'kind: C',
  });
  const documents = await readManifests([dir]);
  assert.deepEqual(
    documents.map(({ object }) => object.kind),
    ['A', 'B', 'B2', 'C'],
  );
});

const unreadable: [what: string, text: string, says: RegExp][] = [
  ['no YAML', 'kind: [', /bad\.yaml cannot be read: .*flow/],
  ['no object', '- a', /bad\.yaml cannot be read: a document is no object with a `kind`/],
  ['no kind', 'metadata: {}', /no object with a `kind`/],
];

for (const [what, text, says] of unreadable) {
  test(`a file with ${what} is named`, async (t) => {
    const dir = await folder(t, { 'bad.yaml': text });
    await assert.rejects(readManifests([join(dir, 'bad.yaml')]), { name: 'UserError', message: says });
  });
}

test('a file that is not there, and a folder without manifests, are named', async (t) => {
  const dir = await folder(t, {});
  await assert.rejects(readManifests([join(dir, 'absent.yaml')]), /absent\.yaml cannot be read: ENOENT/);
  await assert.rejects(readManifests([dir]), /no objects/);
});
