/** Two linked clusters and what goes wrong with them: the parts are real processes, the faults are real faults. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import * as yaml from 'js-yaml';
import type { Link } from '../../api/isthmus-types.ts';
import type { Condition, KubernetesObject, Pod, Service } from '../../api/kubernetes-types.ts';
import { annotation, component, DEFAULT_MESH_NAMESPACE, label, object, port } from '../../api/names.ts';
import { POLICY_GROUP } from '../../api/policy-types.ts';
import type { ClusterAccess } from '../../cli/cluster-access.ts';
import { startEmbeddedCluster, stopProcess } from '../../cli/clusters/embedded.ts';
import { processTree } from '../../cli/clusters/process-table.ts';
import { clientStats } from '../../cli/demo/observe.ts';
import { applyObjects, deleteObject } from '../../cli/install/apply.ts';
import { customResourceDefinitions, isOurs } from '../../cli/install/manifests.ts';
import { install } from '../../cli/install/install.ts';
import { uninstall } from '../../cli/install/uninstall.ts';
import { upgrade } from '../../cli/install/upgrade.ts';
import { waitForDeployment } from '../../cli/install/wait-for-mesh.ts';
import { applyLink, planLink, removeSourceSide, removeTargetSide, waitForLink } from '../../cli/link/link.ts';
import type { Output } from '../../cli/output.ts';
import { createTrustFolder } from '../../cli/trust/trust-folder.ts';
import type { ClientStats } from '../../examples/types.ts';
import { resourcePath, resources } from '../../kubernetes/resources.ts';
import { KubernetesError } from '../../kubernetes/types.ts';
import { linkerdWebhook } from '../install/linkerd.ts';
import { readAuditLog } from '../rights/audit.ts';
import { refusedRequests, rightsOf, unusedRights } from '../rights/rights.ts';
import { suiteCleaner, temporaryFolder } from '../testing/cleaner.ts';
import { eventually, startCluster } from './harness.ts';

const silent: Output = { out: () => undefined, err: () => undefined, interactive: false };
const NAMESPACE = DEFAULT_MESH_NAMESPACE;

interface TestCluster {
  name: string;
  access: ClusterAccess;
  pid: number;
}

suite('two linked clusters', () => {
  const cleaner = suiteCleaner();
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

  async function cluster(name: string): Promise<TestCluster> {
    const { access, pid = 0 } = await startCluster(cleaner, name, clustersDir, { auditLog: auditLog(name) });
    return { name, access, pid };
  }

  const auditLog = (name: string): string => join(clustersDir, `${name}-audit.log`);
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
    const state = await startEmbeddedCluster({
      name: c.name,
      clustersDir,
      tied: true,
      auditLog: auditLog(c.name),
    });
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

  test('a webhook whose certificate and authority are spoilt is mended, and pods get their sidecar again', async () => {
    const { client } = east.access;
    await client.mergePatch(resources.secrets, NAMESPACE, object.injectorTlsSecret, {
      data: { 'tls.crt': Buffer.from('spoilt').toString('base64') },
    });
    await eventually('another certificate', async () => {
      const { data } = await client.get(resources.secrets, NAMESPACE, object.injectorTlsSecret);
      return Buffer.from(data?.['tls.crt'] ?? '', 'base64')
        .toString()
        .startsWith('-----BEGIN');
    });
    // Again when the control plane has written in between.
    await eventually('the authority to be cleared', async () => {
      const configuration = await client.get(
        resources.mutatingWebhookConfigurations,
        undefined,
        object.injectorWebhook,
      );
      const webhooks = (configuration.webhooks ?? []).map((webhook) => ({
        ...webhook,
        clientConfig: { ...webhook.clientConfig, caBundle: '' },
      }));
      await client.replace(resources.mutatingWebhookConfigurations, { ...configuration, webhooks });
      return true;
    });
    await eventually('the authority of the certificate that is served', async () => {
      const { data } = await client.get(resources.secrets, NAMESPACE, object.injectorTlsSecret);
      const { webhooks = [] } = await client.get(
        resources.mutatingWebhookConfigurations,
        undefined,
        object.injectorWebhook,
      );
      return webhooks.every(({ clientConfig }) => clientConfig.caBundle === data?.['ca.crt']);
    });
    // The second Injected event about the same Deployment.
    await eventually('an injected pod in place of the one that goes', async () => {
      const pods = await client.list<Pod>(resources.pods, { namespace: 'demo' });
      for (const { metadata } of pods.items) await deleteObject(client, podNamed(metadata?.name ?? ''));
      const injected = await client.list<Pod>(resources.pods, {
        namespace: 'demo',
        labelSelector: `${label.controlPlaneNs}=${NAMESPACE}`,
      });
      return injected.items.some((pod) => !pods.items.some((old) => old.metadata?.uid === pod.metadata?.uid));
    });
  });

  test("where Linkerd's webhook stands only our own annotation asks for our sidecar", async () => {
    const { client } = east.access;
    await applyObjects(client, [linkerdNamespace]);
    const isInjected = async (inject: string): Promise<boolean> => {
      const metadata = { name: 'annotated', namespace: 'linkerd-app', annotations: { [inject]: 'enabled' } };
      const spec = { containers: [{ name: 'app', image: 'app' }] };
      const made = await client.create(resources.pods, { metadata, spec }, { dryRun: true });
      return made.metadata?.labels?.[label.controlPlaneNs] === NAMESPACE;
    };
    await eventually("Linkerd's annotation to count", () => isInjected(annotation.linkerdInject));
    await applyObjects(client, [linkerdWebhook()]);
    await eventually("it to be Linkerd's", async () => !(await isInjected(annotation.linkerdInject)));
    assert.ok(await isInjected(annotation.inject));
    await deleteObject(client, linkerdWebhook());
    await eventually('it to count again', () => isInjected(annotation.linkerdInject));
  });

  test('what can not be mirrored is told, and the mirror takes no name that is taken', async () => {
    const here = east.access.client;
    const there = west.access.client;
    const elsewhere = 'only-in-west';
    const skipped = async (): Promise<number> => {
      const { items } = await here.list(resources.events, { namespace: NAMESPACE });
      return items.find(({ reason }) => reason === 'ServiceMirroringSkipped')?.count ?? 0;
    };
    await applyObjects(here, [service('demo', 'taken-west', {})]);
    await applyObjects(there, [
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: elsewhere } },
      service(elsewhere, 'lonely', { [label.exported]: 'true' }),
      service('demo', 'taken', { [label.exported]: 'true' }),
    ]);
    const first = await eventually(
      'the missing namespace to be told',
      async () => (await skipped()) || undefined,
    );
    await eventually('the taken name to be told', async () =>
      JSON.stringify((await link()).status).includes('taken-west'),
    );
    await applyObjects(there, [service(elsewhere, 'lonely', { [label.exported]: 'true', changed: 'yes' })]);
    await eventually('it to be told again', async () => (await skipped()) > first);
    const kept = await here.get(resources.services, 'demo', 'taken-west');
    assert.equal(kept.metadata?.labels?.[label.mirroredService], undefined);
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

  test('a policy closes a service to other clusters until it names them, and routes are told that they hold', async () => {
    const before_ = await trafficFlows();
    await applyObjects(west.access.client, POLICY);
    await eventually('requests to be refused', async () => {
      const stats = await clientStats(east);
      return stats?.lastError === 'HTTP 403 unauthorized' && stats.failures > before_.failures;
    });
    await applyObjects(west.access.client, [CLIENT_OF_EAST]);
    await trafficFlows();
    for (const { access } of [east, west]) {
      await applyObjects(access.client, ROUTES);
      const { client } = access;
      const reads = [
        () => client.get(resources.httpRoutes, 'demo', 'sample'),
        () => client.get(resources.policyHttpRoutes, 'demo', 'sample'),
        () => client.get(resources.grpcRoutes, 'demo', 'sample'),
      ];
      for (const read of reads) {
        await eventually('the status of a route', async () => {
          const { status } = await read();
          return status?.parents?.[0]?.conditions?.length === 2;
        });
      }
    }
    for (const o of [CLIENT_OF_EAST, ...POLICY]) await deleteObject(west.access.client, o);
    for (const { access } of [east, west]) for (const o of ROUTES) await deleteObject(access.client, o);
    await trafficFlows();
  });

  test('a node that gets a zone is seen in the metrics of those who ask endpoints there', async () => {
    const { client } = west.access;
    const [node] = (await client.list(resources.nodes)).items;
    const name = node?.metadata?.name ?? '';
    const local = async () => {
      const labelSelector = `${label.component}=${component.gateway}`;
      const { items } = await client.list(resources.pods, { namespace: NAMESPACE, labelSelector });
      const answers = items.map(({ metadata }) =>
        client.text(
          resourcePath(resources.pods, NAMESPACE, `${metadata?.name}:${port.admin}`, 'proxy/metrics'),
        ),
      );
      return (await Promise.all(answers)).some((text) =>
        /^request_total\{.*dst_zone_locality="local"/m.test(text),
      );
    };
    await trafficFlows();
    assert.equal(await local(), false);
    await client.mergePatch(resources.nodes, undefined, name, {
      metadata: { labels: { [label.zone]: 'a' } },
    });
    await eventually('the zone of the endpoint', local);
    await client.mergePatch(resources.nodes, undefined, name, {
      metadata: { labels: { [label.zone]: null } },
    });
    await trafficFlows();
  });

  test('every right of every account has been used, and none was missing', async () => {
    // The roles are the same everywhere: only west is linked from, only east mirrors.
    const requests = [east, west].flatMap((c) => readAuditLog(auditLog(c.name)));
    assert.deepEqual(refusedRequests(requests, NAMESPACE), []);
    for (const { name, access } of [east, west]) {
      const unused = unusedRights(await rightsOf(access.client, NAMESPACE), requests);
      assert.deepEqual(
        unused.filter((right) => !NOT_USED_HERE.includes(right)),
        [],
        name,
      );
    }
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

  test('an upgrade to other values rolls what they change, waits for it, and leaves trust and the rest alone', async () => {
    const { client } = west.access;
    const state = async () => ({
      issuer: (await client.get(resources.secrets, NAMESPACE, object.issuerSecret)).data,
      bundle: (await client.get(resources.trustBundles, undefined, object.trustBundle)).spec,
      plane: await podNames(west, component.controlPlane),
    });
    const earlier = await state();
    await upgrade(west.access, NAMESPACE, { 'gateway.replicas': 2 }, silent);
    const gateway = await client.get(resources.deployments, NAMESPACE, component.gateway);
    assert.equal(gateway.status?.availableReplicas, 2);
    await client.get(resources.podDisruptionBudgets, NAMESPACE, component.gateway);
    assert.deepEqual(await state(), earlier);
  });

  test('uninstall leaves nothing of ours and touches nothing else', async () => {
    await uninstall(east.access, NAMESPACE, silent);
    const { client } = east.access;
    const missing = (error: unknown): boolean => error instanceof KubernetesError && error.code === 404;
    await assert.rejects(client.get(resources.namespaces, undefined, NAMESPACE), missing);
    const crds = await client.list(resources.customResourceDefinitions);
    const ofOthers = customResourceDefinitions().filter((crd) => !isOurs(crd));
    assert.deepEqual(
      crds.items.map((c) => c.metadata?.name ?? '').sort(),
      ofOthers.map((c) => c.metadata?.name ?? '').sort(),
    );
    const roles = await client.list(resources.clusterRoles);
    assert.deepEqual(
      roles.items.filter((r) => r.metadata?.name?.startsWith('isthmus')),
      [],
    );
    await client.get(resources.deployments, 'demo', 'client');
  });
});

const AUTHENTICATION = { group: POLICY_GROUP, kind: 'MeshTLSAuthentication', name: 'client-of-east' };

/**
 * Closes the port of `web` to all but whom `CLIENT_OF_EAST` names. The route is there for the probe, which would keep
 * the path open that the client asks for.
 */
const POLICY: KubernetesObject[] = [
  policyObject('v1beta3', 'Server', 'web', { podSelector: { matchLabels: { app: 'web' } }, port: 'http' }),
  policyObject('v1alpha1', 'AuthorizationPolicy', 'web', {
    targetRef: { group: POLICY_GROUP, kind: 'Server', name: 'web' },
    requiredAuthenticationRefs: [AUTHENTICATION],
  }),
  policyObject('v1beta3', 'HTTPRoute', 'web', {
    parentRefs: [{ group: POLICY_GROUP, kind: 'Server', name: 'web' }],
    rules: [{ matches: [{ path: { value: '/' } }] }],
  }),
];
const CLIENT_OF_EAST = policyObject('v1alpha1', AUTHENTICATION.kind, AUTHENTICATION.name, {
  identities: ['spiffe://cluster.local/cluster/east/ns/demo/sa/client'],
});

/** For a Service that no cluster has. */
const ROUTES: KubernetesObject[] = [
  ['policy.linkerd.io/v1beta3', 'HTTPRoute'],
  ['gateway.networking.k8s.io/v1', 'HTTPRoute'],
  ['gateway.networking.k8s.io/v1', 'GRPCRoute'],
].map(([apiVersion = '', kind = '']) => ({
  apiVersion,
  kind,
  metadata: { name: 'sample', namespace: 'demo' },
  spec: { parentRefs: [{ group: '', kind: 'Service', name: 'sample' }] },
}));

function policyObject(version: string, kind: string, name: string, spec: object): KubernetesObject {
  const metadata = { name, namespace: 'demo' };
  return { apiVersion: `${POLICY_GROUP}/${version}`, kind, metadata, spec } as KubernetesObject;
}

const NOT_USED_HERE = [
  // Needed only when a pod comes before its namespace has come by the watch: `injector.test.ts` has that.
  'isthmus-control-plane: get namespaces (ClusterRole isthmus-control-plane)',
  // Given for the renewal of a link's credential, which no part does yet.
  'isthmus-link-east: create serviceaccounts/token "isthmus-link-east" in isthmus (Role isthmus-link-east)',
];

const linkerdNamespace: KubernetesObject = {
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name: 'linkerd-app' },
};

function service(namespace: string, name: string, labels: Record<string, string>): Service {
  const metadata = { name, namespace, labels };
  return { apiVersion: 'v1', kind: 'Service', metadata, spec: { ports: [{ port: 80 }] } };
}

function podNamed(name: string): KubernetesObject {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'demo' } };
}

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
