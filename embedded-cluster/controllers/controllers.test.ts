import assert from 'node:assert/strict';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import type {
  Deployment,
  EndpointSlice,
  KubernetesObject,
  PodTemplateSpec,
  ReplicaSet,
  Service,
} from '../../api/kubernetes-types.ts';
import { suiteCleaner, temporaryFolder } from '../../test/testing/cleaner.ts';
import type { EmbeddedCluster } from '../index.ts';
import { isPodReady, pod, runningCluster, until } from '../testing/running-cluster.ts';
import { listAs } from '../typed-client.ts';
import type { StoredObject } from '../types.ts';

const DEPLOYMENTS = 'deployments.apps';
const SETS = 'replicasets.apps';
const SLICES = 'endpointslices.discovery.k8s.io';

function template(app: string, script: string): PodTemplateSpec {
  return {
    metadata: { labels: { app } },
    spec: {
      terminationGracePeriodSeconds: 1,
      containers: [
        { name: 'main', image: 'sh', args: [script], ports: [{ name: 'web', containerPort: 8080 }] },
      ],
    },
  };
}

function deployment(name: string, spec: Partial<Deployment['spec']> = {}): Deployment {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace: 'default' },
    spec: {
      replicas: 2,
      selector: { matchLabels: { app: name } },
      template: template(name, 'exec sleep 300'),
      ...spec,
    },
  };
}

function isRolledOut(object: StoredObject | undefined): boolean {
  const { spec, status, metadata } = (object ?? {}) as Deployment;
  const wanted = spec?.replicas ?? -1;
  return (
    status?.observedGeneration === metadata?.generation &&
    status?.updatedReplicas === wanted &&
    status?.replicas === wanted &&
    status.availableReplicas === wanted
  );
}

await describe('controllers of a running cluster', async () => {
  const cleaner = suiteCleaner();
  let cluster: EmbeddedCluster;

  before(async () => {
    cluster = await runningCluster(cleaner, join(await temporaryFolder(cleaner), 'data'));
  });

  const conditionOf = (name: string, type: string): string | undefined => {
    const { status } = cluster.loopback.get(DEPLOYMENTS, 'default', name) as Deployment;
    return status?.conditions?.find((c) => c.type === type)?.reason;
  };

  await it('rolls a deployment out, on to a new template and back, and keeps revisions', async () => {
    const { loopback } = cluster;
    await loopback.create(DEPLOYMENTS, deployment('roll'));
    await until(loopback, DEPLOYMENTS, 'roll', isRolledOut);
    await until(
      loopback,
      DEPLOYMENTS,
      'roll',
      () => conditionOf('roll', 'Progressing') === 'NewReplicaSetAvailable',
    );
    const first = template('roll', 'exec sleep 300');
    const second = template('roll', 'exec sleep 301');
    await loopback.patch(DEPLOYMENTS, 'default', 'roll', { spec: { template: second } });
    await until(loopback, DEPLOYMENTS, 'roll', isRolledOut);
    await loopback.patch(DEPLOYMENTS, 'default', 'roll', { spec: { template: first } });
    await until(loopback, DEPLOYMENTS, 'roll', isRolledOut);
    const sets = listAs<ReplicaSet>(loopback, SETS, { labelSelector: 'app=roll' });
    const revisions = sets.map((set) => [
      set.metadata.annotations?.['deployment.kubernetes.io/revision'] ?? '',
      String(set.spec?.replicas),
    ]);
    assert.deepEqual(
      revisions.sort(([a = ''], [b = '']) => a.localeCompare(b)),
      [
        ['2', '0'],
        ['3', '2'],
      ],
      'the first set is taken up again as revision 3',
    );
    assert.equal(conditionOf('roll', 'Available'), 'MinimumReplicasAvailable');
  });

  await it('recreates: no old pod runs beside a new one', async () => {
    const { loopback } = cluster;
    await loopback.create(DEPLOYMENTS, deployment('again', { strategy: { type: 'Recreate' } }));
    await until(loopback, DEPLOYMENTS, 'again', isRolledOut);
    const start = loopback.list('pods').resourceVersion;
    const alive = new Map<string, string>();
    for (const p of loopback.list('pods', { labelSelector: 'app=again' }).items)
      alive.set(p.metadata.name ?? '', p.metadata.labels?.['pod-template-hash'] ?? '');
    const mixed: string[] = [];
    const watch = loopback.watch('pods', { labelSelector: 'app=again', resourceVersion: start }, (event) => {
      if (event.type === 'BOOKMARK') return;
      const { name = '', labels } = event.object.metadata;
      if (event.type === 'DELETED') alive.delete(name);
      else alive.set(name, labels?.['pod-template-hash'] ?? '');
      if (new Set(alive.values()).size > 1) mixed.push([...alive.keys()].join(' '));
    });
    await loopback.patch(DEPLOYMENTS, 'default', 'again', {
      spec: { template: template('again', 'exec sleep 302') },
    });
    await until(loopback, DEPLOYMENTS, 'again', isRolledOut);
    watch.close();
    assert.deepEqual(mixed, []);
  });

  await it('publishes endpoints by readiness, by named port, and as the load balancer address', async () => {
    const { loopback } = cluster;
    await loopback.create(DEPLOYMENTS, deployment('web'));
    await loopback.create('services', {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web', namespace: 'default' },
      spec: {
        type: 'LoadBalancer',
        selector: { app: 'web' },
        ports: [{ name: 'http', port: 80, targetPort: 'web' }],
      },
    } as Service);
    const ingressCount = (object: StoredObject | undefined): number =>
      (object as Service | undefined)?.status?.loadBalancer?.ingress?.length ?? 0;
    const service = (await until(loopback, 'services', 'web', (s) => ingressCount(s) === 2)) as Service;
    const [slice] = listAs<EndpointSlice>(loopback, SLICES, {
      labelSelector: 'kubernetes.io/service-name=web',
    });
    assert.deepEqual(slice?.ports, [{ name: 'http', protocol: 'TCP', port: 8080 }]);
    assert.deepEqual(
      slice.endpoints?.flatMap((e) => e.addresses).sort(),
      service.status?.loadBalancer?.ingress?.map((i) => i.ip),
    );
    assert.ok(slice.endpoints?.every((e) => e.conditions?.ready === true && e.targetRef?.kind === 'Pod'));
    await loopback.patch(DEPLOYMENTS, 'default', 'web', { spec: { replicas: 0 } });
    await until(loopback, 'services', 'web', (s) => ingressCount(s) === 0);
  });

  await it('collects what has lost its owner, waits in the foreground, and lets orphans go', async () => {
    const { loopback } = cluster;
    await loopback.create(DEPLOYMENTS, deployment('fore', { replicas: 1 }));
    await until(loopback, DEPLOYMENTS, 'fore', isRolledOut);
    await loopback.delete(DEPLOYMENTS, 'default', 'fore', { propagationPolicy: 'Foreground' });
    await until(loopback, DEPLOYMENTS, 'fore', (object) => object === undefined);
    assert.deepEqual(loopback.list(SETS, { labelSelector: 'app=fore' }).items, []);

    await loopback.create(DEPLOYMENTS, deployment('orphan', { replicas: 1 }));
    await until(loopback, DEPLOYMENTS, 'orphan', isRolledOut);
    await loopback.delete(DEPLOYMENTS, 'default', 'orphan', { propagationPolicy: 'Orphan' });
    await until(loopback, DEPLOYMENTS, 'orphan', (object) => object === undefined);
    const [left] = loopback.list(SETS, { labelSelector: 'app=orphan' }).items;
    assert.equal(left?.metadata.ownerReferences?.length ?? 0, 0);

    const owner = await loopback.create('configmaps', map('owner'));
    const reference = { apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid: owner.metadata.uid ?? '' };
    await loopback.create('configmaps', {
      ...map('owned'),
      metadata: { name: 'owned', namespace: 'default', ownerReferences: [reference] },
    });
    await loopback.delete('configmaps', 'default', 'owner');
    await until(loopback, 'configmaps', 'owned', (object) => object === undefined);
  });

  await it('empties a namespace before it goes', async () => {
    const { loopback } = cluster;
    await loopback.create('namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'short' } });
    await until(loopback, 'serviceaccounts', 'default', (sa) => sa !== undefined, 'short');
    const inside = pod('p', { containers: [{ name: 'main', image: 'sh', args: ['exec sleep 300'] }] });
    await loopback.create('pods', { ...inside, metadata: { name: 'p', namespace: 'short' } });
    await until(loopback, 'pods', 'p', isPodReady, 'short');
    await loopback.delete('namespaces', undefined, 'short');
    await new Promise<void>((resolve) => {
      const { resourceVersion } = loopback.list('namespaces');
      const watch = loopback.watch('namespaces', { resourceVersion }, (event) => {
        if (event.type !== 'DELETED' || event.object.metadata.name !== 'short') return;
        watch.close();
        resolve();
      });
    });
    assert.deepEqual(loopback.list('pods', { namespace: 'short' }).items, []);
    assert.deepEqual(loopback.list('configmaps', { namespace: 'short' }).items, []);
  });

  await it('runs a Job to its completions', async () => {
    const { loopback } = cluster;
    const job = {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name: 'job', namespace: 'default' },
      spec: {
        completions: 2,
        template: {
          spec: { restartPolicy: 'Never', containers: [{ name: 'main', image: 'sh', args: ['exit 0'] }] },
        },
      },
    };
    await loopback.create('jobs.batch', job);
    const done = await until(loopback, 'jobs.batch', 'job', (object) => {
      const status = object?.['status'] as { conditions?: { type: string }[] } | undefined;
      return status?.conditions?.some((c) => c.type === 'Complete') === true;
    });
    assert.equal((done?.['status'] as { succeeded?: number } | undefined)?.succeeded, 2);
  });
});

function map(name: string): KubernetesObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'default' } };
}
