import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { KubernetesError } from '../kubernetes/types.ts';
import { asUser, type ClusterAccess, openClusterById } from './cluster-access.ts';
import { UserError } from './errors.ts';

const cluster = { context: 'east', config: { server: 'https://east:6443' } } as ClusterAccess;

function failing(code: number, message: string): Promise<unknown> {
  return asUser(cluster, () => Promise.reject(new KubernetesError(message, code, '')));
}

test('what the person can mend names the context and says what to do', async () => {
  for (const [code, message, said] of [
    [0, 'connect ECONNREFUSED', /the API of context "east" \(https:\/\/east:6443\) cannot be reached/],
    [401, 'Unauthorized', /context "east" does not accept the credentials/],
    [403, 'links is forbidden', /the user of context "east" may not do this: links is forbidden/],
    [
      404,
      'GET …/links: the server could not find the requested resource',
      /context "east" does not know a kind/,
    ],
  ] as const) {
    await assert.rejects(failing(code, message), (error) => {
      assert.ok(error instanceof UserError);
      assert.match(error.message, said);
      assert.ok(error.hint);
      return true;
    });
  }
});

test('an object that is not there, and a fault of the server, go on as they are', async () => {
  const missing = new KubernetesError('links "west" not found', 404, 'NotFound', {
    kind: 'Status',
    apiVersion: 'v1',
    details: { name: 'west', kind: 'links' },
  });
  await assert.rejects(
    asUser(cluster, () => Promise.reject(missing)),
    missing,
  );
  await assert.rejects(failing(500, 'boom'), KubernetesError);
});

test("a cluster's context is found by its id, also where tools put something before it", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'isthmus-access-'));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, 'kubeconfig');
  const names = ['midwest', 'kind-west', 'admin@east', 'east'];
  const entry = (name: string): object => ({ name, context: { cluster: 'one', user: 'one' } });
  const config = {
    clusters: [{ name: 'one', cluster: { server: 'https://127.0.0.1:1' } }],
    users: [{ name: 'one', user: { token: 'token' } }],
    contexts: names.map(entry),
  };
  await writeFile(file, JSON.stringify(config));
  const contextOf = async (id: string): Promise<string> => {
    const { context, client } = await openClusterById(id, file);
    await client.close();
    return context;
  };
  assert.equal(await contextOf('west'), 'kind-west');
  assert.equal(await contextOf('east'), 'east');
  await assert.rejects(contextOf('north'), /context "north" is not in the kubeconfig/);
});
