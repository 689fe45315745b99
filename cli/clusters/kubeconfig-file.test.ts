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

function clusterEntry(name: string, server: string, authority: string): object {
  return { name, cluster: { server, 'certificate-authority-data': authority } };
}

function kubeconfigOf(name: string, server: string, authority = `authority of ${name}`): string {
  const user = `${name}-admin`;
  return yaml.dump({
    clusters: [clusterEntry(name, server, authority)],
    users: [{ name: user, user: { token: 'x' } }],
    contexts: [{ name, context: { cluster: name, user } }],
    'current-context': name,
  });
}

async function read(file: string) {
  return yaml.load(await readFile(file, 'utf8')) as {
    clusters: object[];
    users: object[];
    contexts: object[];
    'current-context': string;
  };
}

test('a cluster is added beside what is there, replaced when added again, and taken out without a trace', async (t) => {
  const file = join(await folder(t), 'config');
  await writeFile(file, kubeconfigOf('mine', 'https://mine'));
  await mergeIntoKubeconfig(kubeconfigOf('east', 'https://one'), file);
  await mergeIntoKubeconfig(kubeconfigOf('east', 'https://two'), file);
  const merged = await read(file);
  assert.deepEqual(merged.clusters, [
    clusterEntry('mine', 'https://mine', 'authority of mine'),
    clusterEntry('east', 'https://two', 'authority of east'),
  ]);
  assert.equal(merged['current-context'], 'east');
  await removeFromKubeconfig(kubeconfigOf('east', 'https://two'), file);
  const left = await read(file);
  for (const list of [left.clusters, left.users, left.contexts]) assert.equal(list.length, 1);
  assert.equal(left['current-context'], '');
});

test('entries of the same name that lead to another cluster are neither replaced nor removed', async (t) => {
  const file = join(await folder(t), 'config');
  const mine = kubeconfigOf('east', 'https://mine', 'mine');
  await writeFile(file, mine);
  const other = kubeconfigOf('east', 'https://other', 'other');
  await assert.rejects(mergeIntoKubeconfig(other, file), /a context "east" that leads to another cluster/);
  await removeFromKubeconfig(other, file);
  assert.equal(await readFile(file, 'utf8'), mine);
});

test('removing from a kubeconfig that is not there makes none; one that is no YAML is named', async (t) => {
  const file = join(await folder(t), 'config');
  await removeFromKubeconfig(kubeconfigOf('east', 'https://one'), file);
  await assert.rejects(stat(file), { code: 'ENOENT' });
  await writeFile(file, '{ clusters: [');
  await assert.rejects(mergeIntoKubeconfig(kubeconfigOf('east', 'https://one'), file), (error: Error) =>
    error.message.includes(file),
  );
});

test('many writers at once lose nothing, and the file is for its owner only', async (t) => {
  const file = join(await folder(t), 'deep', 'config');
  const names = ['a', 'b', 'c', 'd', 'e'];
  await Promise.all(names.map((name) => mergeIntoKubeconfig(kubeconfigOf(name, 'https://x'), file)));
  const merged = yaml.load(await readFile(file, 'utf8')) as { contexts: { name: string }[] };
  assert.deepEqual(merged.contexts.map((c) => c.name).toSorted(), names);
  assert.equal((await stat(file)).mode & 0o777, 0o600);
});
