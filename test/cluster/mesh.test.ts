/** Two linked clusters and what goes wrong with them: the parts are real processes, the faults are real faults. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import * as yaml from 'js-yaml';
import type { Link } from '../../api/isthmus-types.ts';
import type { Condition, KubernetesObject, Pod } from '../../api/kubernetes-types.ts';
import { component, DEFAULT_MESH_NAMESPACE, label } from '../../api/names.ts';
import type { ClusterAccess } from '../../cli/cluster-access.ts';
import { startEmbeddedCluster, stopProcess } from '../../cli/clusters/embedded.ts';
import { processTree } from '../../cli/clusters/process-table.ts';
import { clientStats } from '../../cli/demo/observe.ts';
import { applyObjects } from '../../cli/install/apply.ts';
import { install } from '../../cli/install/install.ts';
import { uninstall } from '../../cli/install/uninstall.ts';
import { waitForDeployment } from '../../cli/install/wait-for-mesh.ts';
import { applyLink, planLink, removeSourceSide, removeTargetSide, waitForLink } from '../../cli/link/link.ts';
import type { Output } from '../../cli/output.ts';
import { createTrustFolder } from '../../cli/trust/trust-folder.ts';
import type { ClientStats } from '../../examples/types.ts';
import { resources } from '../../kubernetes/resources.ts';
import { KubernetesError } from '../../kubernetes/types.ts';
import { type Cleaner, eventually, startCluster, temporaryFolder } from './harness.ts';

const silent: Output = { out: () => undefined, err: () => undefined, interactive: false };
const NAMESPACE = DEFAULT_MESH_NAMESPACE;

interface TestCluster {
  name: string;
  access: ClusterAccess;
  pid: number;
}

suite('two linked clusters', () => {
  const cleanups: (() => Promise<void>)[] = [];
  const cleaner: Cleaner = { after: (work) => void cleanups.unshift(work) };
  let clustersDir = '';
  let east: TestCluster;
  let west: TestCluster;

  before(async () => {
    const dir = await temporaryFolder(cleaner);
    clustersDir = join(dir, 'clusters');
    await createTrustFolder(join(dir, 'trust'));
    [east, west] = await Promise.all([cluster('east'), cluster('west')]);
    await Promise.all(
      [east, west].map((c) => install(c.access, { clusterName: c.name }, join(dir, 'trust'), silent)),
    );
    await applyLink(await plan());
    await Promise.all([deploy(west, 'web.yaml'), deploy(east, 'client.yaml')]);
  });
  after(async () => {
    for (const cleanup of cleanups) await cleanup();
  });

  async function cluster(name: string): Promise<TestCluster> {
    const { access, pid = 0 } = await startCluster(cleaner, name, clustersDir);
    return { name, access, pid };
  }

  const plan = () => planLink({ source: east.access, target: west.access, meshNamespace: NAMESPACE });
  const link = (): Promise<Link> => east.access.client.get(resources.links, NAMESPACE, 'west');
  const mirrors = async () =>
    (await east.access.client.list(resources.services, { labelSelector: `${label.mirroredService}=true` }))
      .items;

  async function condition(type: string): Promise<Condition | undefined> {
    return (await link()).status?.conditions?.find((c) => c.type === type);
  }

  /** Waits until the client has had answers after now, and answers what it had measured by then. */
  async function trafficFlows(): Promise<ClientStats> {
    const start = await eventually('the client', () => clientStats(east));
    return eventually('new answers', async () => {
      const stats = await clientStats(east);
      if (stats === undefined) return undefined;
      // A client that was replaced starts to count anew.
      const base = stats.requests < start.requests ? 0 : start.requests - start.failures;
      return stats.requests - stats.failures > base + 20 ? stats : undefined;
    });
  }

  /** A cluster process dies with everything it runs, as when a machine loses power. */
  async function lose(c: TestCluster): Promise<void> {
    const tree = processTree(c.pid).toReversed();
    for (const { pid } of tree) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch (error) {
        assert.equal((error as NodeJS.ErrnoException).code, 'ESRCH');
      }
    }
    await eventually(`${c.name} to be gone`, () => Promise.resolve(processTree(c.pid).length === 0));
  }

  async function bringBack(c: TestCluster): Promise<void> {
    const state = await startEmbeddedCluster({ name: c.name, clustersDir, tied: true });
    cleaner.after(() => stopProcess(state.pid ?? 0));
    c.pid = state.pid ?? 0;
  }

  test('requests from east are answered by west, and the identity goes all the way', async () => {
    const stats = await trafficFlows();
    assert.deepEqual(Object.keys(stats.byCluster), ['west']);
    assert.equal(stats.clientIdentity, 'spiffe://cluster.local/cluster/east/ns/demo/sa/client');
    assert.equal(stats.failures, 0);
  });

  test('linking twice changes nothing but the credential', async () => {
    await waitForLink(await plan());
    const before_ = { link: await link(), mirrors: await mirrors() };
    await applyLink(await plan());
    await waitForLink(await plan());
    assert.equal((await link()).metadata?.generation, before_.link.metadata?.generation);
    assert.deepEqual(
      (await mirrors()).map((m) => m.metadata?.uid),
      before_.mirrors.map((m) => m.metadata?.uid),
    );
  });

  test('a link to oneself is refused, whatever the context is called', async () => {
    const alias = { ...east.access, context: 'another-name' };
    await assert.rejects(
      planLink({ source: east.access, target: alias, meshNamespace: NAMESPACE }),
      /"east" and "another-name" are the same cluster|are the same cluster \("east"\)/,
    );
  });

  test('un-exporting removes the mirror, exporting brings it back', async () => {
    const export_ = (value: string | null) =>
      west.access.client.mergePatch(resources.services, 'demo', 'web', {
        metadata: { labels: { [label.exported]: value } },
      });
    await export_(null);
    await eventually('the mirror to go', async () => (await mirrors()).length === 0);
    await export_('true');
    await eventually('the mirror to be back', async () => (await mirrors()).length === 1);
    await trafficFlows();
  });

  test('a target that vanishes is told, and its return heals everything without a restart of ours', async () => {
    const controllers = await podNames(east, component.mirrorController);
    await lose(west);
    await eventually('GatewayAlive False', async () => (await condition('GatewayAlive'))?.status === 'False');
    await eventually('ApiReachable False', async () => (await condition('ApiReachable'))?.status === 'False');
    assert.equal((await mirrors()).length, 1, 'mirrors stay while the target is away');
    await bringBack(west);
    await eventually('GatewayAlive True', async () => (await condition('GatewayAlive'))?.status === 'True');
    await eventually('ApiReachable True', async () => (await condition('ApiReachable'))?.status === 'True');
    await trafficFlows();
    assert.deepEqual(await podNames(east, component.mirrorController), controllers);
  });

  test('an API server that restarts under all watches loses nothing', async () => {
    const before_ = (await mirrors()).map((m) => m.metadata?.uid);
    await lose(east);
    await bringBack(east);
    await eventually('the API', async () => (await mirrors()).length === 1);
    assert.deepEqual(
      (await mirrors()).map((m) => m.metadata?.uid),
      before_,
    );
    await trafficFlows();
    await eventually('GatewayAlive True', async () => (await condition('GatewayAlive'))?.status === 'True');
  });

  test('unlink leaves nothing on either side', async () => {
    await removeSourceSide(east.access, 'west', NAMESPACE);
    await removeTargetSide(west.access, 'east', NAMESPACE);
    assert.deepEqual(await mirrors(), []);
    const secrets = await east.access.client.list(resources.secrets, { namespace: NAMESPACE });
    assert.ok(!secrets.items.some((s) => s.metadata?.name === 'isthmus-link-west'));
    const accounts = await west.access.client.list(resources.serviceAccounts, { namespace: NAMESPACE });
    assert.ok(!accounts.items.some((s) => s.metadata?.name === 'isthmus-link-east'));
  });

  test('uninstall leaves nothing of ours and touches nothing else', async () => {
    await uninstall(east.access, NAMESPACE, silent);
    const { client } = east.access;
    const missing = (error: unknown): boolean => error instanceof KubernetesError && error.code === 404;
    await assert.rejects(client.get(resources.namespaces, undefined, NAMESPACE), missing);
    const crds = await client.list(resources.customResourceDefinitions);
    assert.deepEqual(
      crds.items.map((c) => c.metadata?.name),
      ['clusterproperties.about.k8s.io'],
    );
    const roles = await client.list(resources.clusterRoles);
    assert.deepEqual(
      roles.items.filter((r) => r.metadata?.name?.startsWith('isthmus')),
      [],
    );
    await client.get(resources.deployments, 'demo', 'client');
  });
});

async function podNames(c: TestCluster, of: string): Promise<string[]> {
  const { items } = await c.access.client.list<Pod>(resources.pods, {
    namespace: NAMESPACE,
    labelSelector: `${label.component}=${of}`,
  });
  return items.map(
    (pod) => `${pod.metadata?.name} restarted ${pod.status?.containerStatuses?.[0]?.restartCount}`,
  );
}

async function deploy(c: TestCluster, file: string): Promise<void> {
  const text = await readFile(new URL(`../../examples/${file}`, import.meta.url), 'utf8');
  await waitForDeployment(c.access.client, NAMESPACE, component.controlPlane, 60_000);
  await applyObjects(c.access.client, yaml.loadAll(text) as KubernetesObject[]);
}
