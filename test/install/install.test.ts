/**
 * What an installation makes and leaves, on an embedded API server or on the real one of `$TEST_KUBECONFIG`. No part
 * runs: what counts is what is in the API.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, afterEach, before, suite, test } from 'node:test';
import type {
  CustomResourceDefinition,
  Deployment,
  KubernetesObject,
  MutatingWebhookConfiguration,
  ObjectMeta,
  Pod,
  PodSpec,
} from '../../api/kubernetes-types.ts';
import {
  annotation,
  CLUSTER_SET_PROPERTY,
  component,
  DEFAULT_MESH_NAMESPACE,
  label,
  object,
} from '../../api/names.ts';
import { cliClient, type ClusterAccess } from '../../cli/cluster-access.ts';
import { resourceFor } from '../../cli/discovery.ts';
import { UserError } from '../../cli/errors.ts';
import {
  allServed,
  applyCustomResourceDefinitions,
  applyObjects,
  deleteObject,
} from '../../cli/install/apply.ts';
import { applyInstallation } from '../../cli/install/install.ts';
import { readInstallation } from '../../cli/install/installation.ts';
import { customResourceDefinitions, isOurs, webhookOf } from '../../cli/install/manifests.ts';
import { find } from '../../cli/install/others-objects.ts';
import { uninstall } from '../../cli/install/uninstall.ts';
import { applyUpgrade } from '../../cli/install/upgrade.ts';
import { type AskedValues, type InstallValues, installValues } from '../../cli/install/values.ts';
import { silentOutput } from '../../cli/output.ts';
import { createTrustFolder } from '../../cli/trust/trust-folder.ts';
import { injectPod } from '../../injector/index.ts';
import { resources } from '../../kubernetes/resources.ts';
import type { Resource } from '../../kubernetes/types.ts';
import { eventually } from '../cluster/harness.ts';
import { apiServerUnderTest, type RunningApiServer, serverKind } from '../testing/api-server.ts';
import { becomes, type Patience } from '../testing/eventually.ts';
import { suiteCleaner, temporaryFolder } from '../testing/cleaner.ts';
import { clusterContents, differences } from './cluster-contents.ts';
import { linkerdObjects } from './linkerd.ts';

const NAMESPACE = DEFAULT_MESH_NAMESPACE;
const EAST = { clusterName: 'east' };
/** How long what was removed may take to be gone, before two pictures of the cluster count as different. */
const SAME_WITHIN: Patience = { limitMs: 20_000, everyMs: 100 };
/** Keys of what a cluster's controllers make of what others apply, in their own time. */
const OF_CONTROLLERS =
  /^(pods|replicasets|endpoints)|^configmaps\. .*\/kube-root-ca\.crt$|^serviceaccounts\. .*\/default$/;

suite(`an installation in the API (${serverKind})`, () => {
  let server: RunningApiServer;
  let cluster: ClusterAccess;
  let trust = '';
  let other = '';
  /** Namespaces of suites before this one, on their way out. */
  let leaving: ReadonlySet<string> = new Set();
  const cleaner = suiteCleaner();

  before(async () => {
    const dir = await temporaryFolder(cleaner);
    [trust, other] = [join(dir, 'trust'), join(dir, 'other')];
    await Promise.all([createTrustFolder(trust), createTrustFolder(other)]);
    server = await apiServerUnderTest();
    cluster = { context: 'test', config: server.config, client: cliClient(server.config) };
    const { items } = await cluster.client.list(resources.namespaces);
    const deleted = items.filter(({ metadata }) => metadata?.deletionTimestamp !== undefined);
    leaving = new Set(deleted.map(({ metadata }) => metadata?.name ?? ''));
    await forgetOurKinds();
    await defineStandards();
  });
  after(async () => {
    await cluster.client.close();
    await server.stop();
  });
  afterEach(async () => {
    await uninstall(cluster, NAMESPACE, silentOutput).catch((error: unknown) => {
      if (!(error instanceof UserError)) throw error;
    });
  });

  /** An uninstall takes them away, and a suite before this one may have left them. */
  async function forgetOurKinds(): Promise<void> {
    for (const crd of customResourceDefinitions().filter(isOurs)) await deleteObject(cluster.client, crd);
    await eventually('our kinds to be gone', async () => {
      const { groups } = await cluster.client.raw<{ groups: { name: string }[] }>('GET', '/apis');
      return groups.every(({ name }) => name !== 'isthmus.dev');
    });
  }

  const contents = (): Promise<Map<string, string>> => clusterContents(cluster.client, leaving);
  const apply = (asked: AskedValues = EAST): Promise<unknown> => applyInstallation(cluster, asked, trust);

  /** What is in the API once the cluster's own controllers have nothing more to do. */
  async function settledContents(): Promise<Map<string, string>> {
    let last = await contents();
    return eventually('the cluster to come to rest', async () => {
      const now = await contents();
      const same = differences(last, now).length === 0;
      last = now;
      return same ? now : undefined;
    });
  }

  /** Waits until nothing but `expected` differs: what was removed may be on its way out. */
  async function expectSame(earlier: Map<string, string>, expected: readonly string[] = []): Promise<void> {
    const look = async (): Promise<true> => {
      assert.deepEqual(differences(earlier, await contents()), expected);
      return true;
    };
    await becomes('the cluster to be as before', look, SAME_WITHIN);
  }

  /**
   * Does what compares two pictures of the cluster until they are as they should be: its own controllers write when
   * they get to it, however long it looked at rest, and do not each time as a defect does.
   */
  async function despiteControllers(compare: () => Promise<void>): Promise<void> {
    await eventually('two pictures without the work of controllers between them', async () => {
      await compare();
      return true;
    });
  }

  /** A pod of a namespace is refused before its admission while the namespace has no account. */
  async function hasDefaultAccount(namespace: string): Promise<void> {
    await eventually(`the default account of ${namespace}`, () =>
      cluster.client.get(resources.serviceAccounts, namespace, 'default'),
    );
  }

  const read = <T extends KubernetesObject>(resource: Resource<T>, name: string): Promise<T> =>
    cluster.client.get(resource, resource.namespaced ? NAMESPACE : undefined, name);

  test('it is taken, and removing it leaves the cluster as it was', async () => {
    await despiteControllers(async () => {
      const earlier = await settledContents();
      await apply();
      assert.ok(differences(earlier, await contents()).length > 30);
      await uninstall(cluster, NAMESPACE, silentOutput);
      await expectSame(earlier);
    });
  });

  test('made twice it changes nothing, with high availability as without', async () => {
    for (const asked of [EAST, { ...EAST, highAvailability: true }]) {
      await apply(asked);
      await despiteControllers(async () => {
        const earlier = await settledContents();
        await apply(asked);
        assert.deepEqual(differences(earlier, await settledContents()), []);
      });
    }
  });

  test('going back from high availability removes the disruption budgets and what else is no more', async () => {
    await apply();
    const plain = new Set((await contents()).keys());
    await apply({ ...EAST, highAvailability: true });
    const budgets = await cluster.client.list(resources.podDisruptionBudgets, { namespace: NAMESPACE });
    assert.equal(budgets.items.length, 3);
    await apply();
    const left = (await cluster.client.list(resources.podDisruptionBudgets, { namespace: NAMESPACE })).items;
    assert.deepEqual(left, []);
    const ours = [...(await contents()).keys()].filter((key) => !OF_CONTROLLERS.test(key));
    assert.deepEqual(
      ours.filter((key) => !plain.has(key)),
      [],
    );
  });

  test('an upgrade keeps what was asked for, changes what is given, keeps trust, prunes, and brings CRDs back', async () => {
    await apply({ ...EAST, 'gateway.replicas': 2, logLevel: 'warn' });
    const issuer = await read(resources.secrets, object.issuerSecret);
    // As an older version would have left it: a kind of object that this one has not, and a CRD with an older schema.
    const relic = { [label.installation]: NAMESPACE };
    await applyObjects(cluster.client, [
      {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'isthmus-relic', namespace: NAMESPACE, labels: relic },
      },
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'of-someone-else', namespace: NAMESPACE } },
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'ClusterRole',
        metadata: { name: 'isthmus-relic', labels: relic },
      },
    ]);
    await cluster.client.delete(resources.customResourceDefinitions, undefined, 'links.isthmus.dev');
    await eventually('the CRD to go', async () => {
      const { items } = await cluster.client.list(resources.customResourceDefinitions);
      return !items.some(({ metadata }) => metadata?.name === 'links.isthmus.dev');
    });
    await applyUpgrade(cluster, NAMESPACE, { 'gateway.replicas': 3 });
    const values = await installed();
    assert.equal(values.gateway.replicas, 3);
    assert.equal(values.logLevel, 'warn');
    assert.deepEqual((await read(resources.secrets, object.issuerSecret)).data, issuer.data);
    assert.equal((await read(resources.deployments, component.gateway)).spec?.replicas, 3);
    const keys = [...(await contents()).keys()];
    assert.deepEqual(
      keys.filter((key) => key.includes('relic')),
      [],
    );
    assert.ok(keys.some((key) => key.endsWith('/of-someone-else')));
    assert.ok(keys.includes('customresourcedefinitions.apiextensions.k8s.io /links.isthmus.dev'));
  });

  test('a namespace and cluster properties that were there before are kept, without what the mesh needed there', async () => {
    const clusterSet: KubernetesObject & { spec: { value: string } } = {
      apiVersion: 'about.k8s.io/v1beta1',
      kind: 'ClusterProperty',
      metadata: { name: CLUSTER_SET_PROPERTY },
      spec: { value: 'set-of-someone-else' },
    };
    const theirs: KubernetesObject[] = [
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE, labels: { team: 'platform' } } },
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'theirs', namespace: NAMESPACE } },
      clusterSet,
    ];
    await forOthers(theirs, async () => {
      await despiteControllers(async () => {
        const earlier = await settledContents();
        await apply();
        const { metadata } = await read(resources.namespaces, NAMESPACE);
        assert.equal(metadata?.labels?.['pod-security.kubernetes.io/enforce'], 'restricted');
        await uninstall(cluster, NAMESPACE, silentOutput);
        // The namespace has been written to, and is what it was.
        await expectSame(earlier, [`changed: namespaces. /${NAMESPACE}`]);
      });
      const left = await read(resources.namespaces, NAMESPACE);
      assert.deepEqual(Object.keys(left.metadata?.labels ?? {}).sort(), [
        'kubernetes.io/metadata.name',
        'team',
      ]);
      assert.deepEqual(left.metadata?.annotations ?? {}, {});
    });
  });

  test("beside a Linkerd nothing of Linkerd's is touched, neither by an install nor by an uninstall", async () => {
    // Linkerd brings definitions of its own: those that are here are not to be found in their place.
    const definitions = linkerdObjects().filter(isCustomResourceDefinition);
    await gone(definitions);
    const besideLinkerd = async (): Promise<void> => {
      const earlier = await settledContents();
      const told: string[] = [];
      await applyInstallation(cluster, EAST, trust, { ...silentOutput, err: (text) => void told.push(text) });
      assert.match(told.join(''), /Linkerd.*only.*isthmus\.dev\/inject.*--adopt-linkerd/s);
      const made = differences(earlier, await settledContents());
      await uninstall(cluster, NAMESPACE, silentOutput);
      assert.deepEqual(
        made.filter((difference) => !difference.startsWith('new: ') || /linkerd/i.test(difference)),
        [],
      );
      await expectSame(earlier);
    };
    await forOthers(linkerdObjects(), () => despiteControllers(besideLinkerd));
    await defineStandards();
  });

  test('a webhook that may stop pods gets that power only once somebody answers it, and keeps it', async () => {
    const policy = async (): Promise<unknown> => {
      const { webhooks } = await cluster.client.get<MutatingWebhookConfiguration>(
        resources.mutatingWebhookConfigurations,
        undefined,
        object.injectorWebhook,
      );
      return webhooks?.map(({ failurePolicy }) => failurePolicy);
    };
    const strict: AskedValues = { ...EAST, 'webhook.failurePolicy': 'Fail' };
    await apply(strict);
    assert.deepEqual(await policy(), ['Ignore']);
    // No part runs here: this is what the end of the wait does.
    await applyObjects(cluster.client, [webhookOf(installValues(strict, { embedded: false }))]);
    assert.deepEqual(await policy(), ['Fail']);
    await apply(strict);
    assert.deepEqual(await policy(), ['Fail']);
  });

  test('another id, trust domain, namespace or trust anchor than those that are there is refused', async () => {
    await apply();
    await despiteControllers(async () => {
      const earlier = await settledContents();
      await assert.rejects(apply({ clusterName: 'other' }), /has the id "east", not "other"/);
      await assert.rejects(
        apply({ ...EAST, trustDomain: 'other.org' }),
        /has the trust domain "cluster.local"/,
      );
      await assert.rejects(
        apply({ ...EAST, meshNamespace: 'other' }),
        /has a mesh already, in namespace "isthmus"/,
      );
      await assert.rejects(applyInstallation(cluster, EAST, other), /trusts another anchor/);
      await assert.rejects(applyUpgrade(cluster, NAMESPACE, { trustDomain: 'other.org' }), /can not become/);
      await assert.rejects(applyUpgrade(cluster, 'other', {}), /has no mesh in namespace "other"/);
      assert.deepEqual(differences(earlier, await settledContents()), []);
    });
  });

  test('an upgrade without an issuer says how to get one', async () => {
    await apply();
    await cluster.client.delete(resources.secrets, NAMESPACE, object.issuerSecret);
    await assert.rejects(applyUpgrade(cluster, NAMESPACE, {}), (error) => {
      assert.ok(error instanceof UserError);
      assert.match(`${error.message} ${error.hint}`, /lost its issuer.*install --cluster-name east --trust/);
      return true;
    });
    await apply();
    await applyUpgrade(cluster, NAMESPACE, {});
  });

  const onlyReal = serverKind === 'real' ? false : 'the embedded cluster has no Pod Security admission';

  test(
    'Pod Security `restricted` is enforced in the mesh namespace, and every component is within it',
    { skip: onlyReal },
    async () => {
      await apply({ ...EAST, highAvailability: true });
      for (const name of [component.controlPlane, component.gateway, component.mirrorController]) {
        const { spec } = await read<Deployment>(resources.deployments, name);
        await cluster.client.create(resources.pods, podOf(spec?.template, NAMESPACE), { dryRun: true });
      }
      await hasDefaultAccount(NAMESPACE);
      const loose = podOf({ spec: { containers: [{ name: 'app', image: 'app' }] } }, NAMESPACE);
      await assert.rejects(
        cluster.client.create(resources.pods, loose, { dryRun: true }),
        /violates PodSecurity "restricted/,
      );
    },
  );

  test(
    'of an injected pod the redirecting container alone is beyond `restricted`',
    { skip: onlyReal },
    async () => {
      const namespace: KubernetesObject = {
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name: 'strict', labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
      };
      await forOthers([namespace], async () => {
        await hasDefaultAccount('strict');
        const pod = injectedPod('strict');
        await assert.rejects(cluster.client.create(resources.pods, pod, { dryRun: true }), (error: Error) => {
          assert.match(error.message, /violates PodSecurity "restricted/);
          assert.deepEqual(
            [...new Set(error.message.match(/(?<=container )"[^"]+"/g))],
            [`"${component.redirect}"`],
          );
          assert.doesNotMatch(error.message, /containers "/);
          return true;
        });
        const rest = pod.spec?.initContainers?.filter(({ name }) => name !== component.redirect) ?? [];
        const without = { ...pod, spec: { containers: [], ...pod.spec, initContainers: rest } };
        await cluster.client.create(resources.pods, without, { dryRun: true });
      });
    },
  );

  async function gone(objects: readonly KubernetesObject[]): Promise<void> {
    for (const o of objects) await deleteObject(cluster.client, o);
    await eventually('what others had to go', async () => {
      const live = await Promise.all(objects.map((o) => find(cluster.client, o)));
      return live.every((o) => o === undefined);
    });
  }

  /** The CRDs of the standards are never removed: there before, they are no difference after. */
  async function defineStandards(): Promise<void> {
    const standards = customResourceDefinitions().filter((crd) => !isOurs(crd));
    await applyCustomResourceDefinitions(cluster.client, standards);
  }

  /** Has these objects in the cluster, as if others had made them, while `work` runs. */
  async function forOthers(objects: readonly KubernetesObject[], work: () => Promise<void>): Promise<void> {
    for (const o of objects) {
      const resource = await resourceFor(cluster.client, o);
      await cluster.client.apply(resource, o, { fieldManager: 'someone-else' });
    }
    await allServed(cluster.client, objects.filter(isCustomResourceDefinition));
    try {
      await work();
    } finally {
      await gone(objects.toReversed());
    }
  }

  async function installed(): Promise<InstallValues> {
    const values = await readInstallation(cluster, NAMESPACE);
    assert.ok(values !== undefined);
    return values;
  }
});

function isCustomResourceDefinition(o: KubernetesObject): o is CustomResourceDefinition {
  return o.kind === 'CustomResourceDefinition';
}

function podOf(template: { metadata?: ObjectMeta; spec?: PodSpec } | undefined, namespace: string): Pod {
  assert.ok(template?.spec !== undefined);
  const metadata = { ...template.metadata, name: 'pod-of-a-test', namespace };
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec: template.spec };
}

/** A pod that is itself within `restricted`, with its sidecar, as on a real cluster. */
function injectedPod(namespace: string): Pod {
  const app = {
    name: 'app',
    image: 'app',
    securityContext: {
      allowPrivilegeEscalation: false,
      runAsNonRoot: true,
      runAsUser: 1000,
      capabilities: { drop: ['ALL'] },
      seccompProfile: { type: 'RuntimeDefault' },
    },
  };
  const values = installValues(EAST, { embedded: false });
  const result = injectPod(
    podOf(
      { metadata: { annotations: { [annotation.inject]: 'enabled' } }, spec: { containers: [app] } },
      namespace,
    ),
    { name: namespace },
    { ...values, opaquePorts: [], telemetry: {}, resources: {}, ignoreLinkerdAnnotation: false },
  );
  assert.ok(result.injected);
  return result.pod;
}
