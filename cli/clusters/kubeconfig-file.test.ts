import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import * as yaml from 'js-yaml';
import { mergeIntoKubeconfig, removeFromKubeconfig } from './kubeconfig-file.ts';

async function folder(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'isthmus-test-'));
  t.after(() => rm(dir, { recursive: true }));
  return dir;
}

function kubeconfigOf(name: string, server: string): string {
  return yaml.dump({
    clusters: [{ name, cluster: { server } }],
    users: [{ name, user: { token: 'x' } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  });
}

test('a cluster is added beside what is there, replaced when added again, and taken out without a trace', async (t) => {
  const file = join(await folder(t), 'config');
  await writeFile(file, kubeconfigOf('mine', 'https://mine'));
  await mergeIntoKubeconfig('east', kubeconfigOf('east', 'https://one'), file);
  await mergeIntoKubeconfig('east', kubeconfigOf('east', 'https://two'), file);
  const merged = yaml.load(await readFile(file, 'utf8')) as { clusters: object[]; 'current-context': string };
  assert.deepEqual(merged.clusters, [
    { name: 'mine', cluster: { server: 'https://mine' } },
    { name: 'east', cluster: { server: 'https://two' } },
  ]);
  assert.equal(merged['current-context'], 'east');
  await removeFromKubeconfig('east', file);
  const left = yaml.load(await readFile(file, 'utf8')) as { contexts: object[]; 'current-context': string };
  assert.equal(left.contexts.length, 1);
  assert.equal(left['current-context'], '');
});

test('many writers at once lose nothing, and the file is for its owner only', async (t) => {
  const file = join(await folder(t), 'deep', 'config');
  const names = ['a', 'b', 'c', 'd', 'e'];
  await Promise.all(names.map((name) => mergeIntoKubeconfig(name, kubeconfigOf(name, 'https://x'), file)));
  const merged = yaml.load(await readFile(file, 'utf8')) as { contexts: { name: string }[] };
  assert.deepEqual(merged.contexts.map((c) => c.name).toSorted(), names);
  assert.equal((await stat(file)).mode & 0o777, 0o600);
});
