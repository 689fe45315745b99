/** Links go, of clusters that live and of one that does not. The next run links anew. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { DEFAULT_MESH_NAMESPACE, label } from '../../api/names.ts';
import { contextOf, nodeOf } from '../../kind-clusters/clusters.ts';
import { run } from '../../kind-clusters/command.ts';
import { startCluster } from '../../kind-clusters/kind.ts';
import { resources } from '../../kubernetes/resources.ts';
import { launcher } from '../cluster/harness.ts';
import { deployApps, removeApps } from './apps.ts';
import { eventually, openTestCluster, type TestCluster } from './harness.ts';

suite('unlink', () => {
  let clusters: TestCluster[] = [];
  const byName = (name: string): TestCluster => clusters.find((one) => one.name === name)!;

  before(async () => {
    clusters = await Promise.all(['east', 'west', 'north'].map(openTestCluster));
    await deployApps(clusters);
    for (const source of ['east', 'west']) {
      await eventually(`${source} to mirror north`, async () =>
        (await leftInSource(byName(source), 'north')).some((name) => name.startsWith('Service')),
      );
    }
  });
  after(async () => {
    for (const cluster of clusters) await removeApps(cluster);
    await Promise.all(clusters.map(({ client }) => client.close()));
  });

  test('of a live cluster: nothing is left on either side', async () => {
    await unlink('east', contextOf('north'));
    assert.deepEqual(await leftInSource(byName('east'), 'north'), []);
    assert.deepEqual(await leftInTarget(byName('north'), 'east'), []);
    assert.notDeepEqual(await leftInSource(byName('east'), 'west'), [], 'other links stay');
    assert.notDeepEqual(await leftInTarget(byName('north'), 'west'), [], "other clusters' accounts stay");
  });

  test('of a dead cluster, named by its id: nothing is left where it was linked from', async (t) => {
    t.after(() => startCluster('north'));
    await run(['docker', 'stop', nodeOf('north')]);
    await unlink('west', 'north');
    assert.deepEqual(await leftInSource(byName('west'), 'north'), []);
  });
});

async function unlink(source: string, from: string): Promise<void> {
  await run([process.execPath, launcher, 'unlink', '--context', contextOf(source), '--from', from]);
}

/** What a link to `target` makes in its source. */
async function leftInSource({ client }: TestCluster, target: string): Promise<string[]> {
  const ofTarget = { labelSelector: `${label.mirrorCluster}=${target}` };
  const found = await Promise.all([
    client.list(resources.services, ofTarget),
    client.list(resources.endpointSlices, ofTarget),
    client.list(resources.secrets, ofTarget),
    client.list(resources.links, {
      namespace: DEFAULT_MESH_NAMESPACE,
      fieldSelector: `metadata.name=${target}`,
    }),
  ]);
  const kinds = ['Service', 'EndpointSlice', 'Secret', 'Link'];
  return found.flatMap(({ items }, index) =>
    items.map(({ metadata }) => `${kinds[index]} ${metadata?.name}`),
  );
}

/** What a link from `source` makes in its target. */
async function leftInTarget({ client }: TestCluster, source: string): Promise<string[]> {
  const named = { fieldSelector: `metadata.name=isthmus-link-${source}` };
  const namespaced = { ...named, namespace: DEFAULT_MESH_NAMESPACE };
  const found = await Promise.all([
    client.list(resources.serviceAccounts, namespaced),
    client.list(resources.roles, namespaced),
    client.list(resources.roleBindings, namespaced),
    client.list(resources.clusterRoleBindings, named),
  ]);
  const kinds = ['ServiceAccount', 'Role', 'RoleBinding', 'ClusterRoleBinding'];
  return found.flatMap(({ items }, index) => items.map(() => `${kinds[index]} of ${source}`));
}
