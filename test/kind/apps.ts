import type { Deployment, EnvVar, KubernetesObject, Service } from '../../api/kubernetes-types.ts';
import { annotation, EXAMPLE_IMAGE, label } from '../../api/names.ts';
import { applyObjects } from '../../cli/install/apply.ts';
import { resources } from '../../kubernetes/resources.ts';
import { KubernetesError } from '../../kubernetes/types.ts';
import { rolledOut } from '../../kind-clusters/mesh.ts';
import { eventually, type TestCluster } from './harness.ts';

/** Namespace of meshed apps, the same in each cluster: mirrors appear in it. */
export const MESHED = 'kind-test';
/** Namespace of apps that have never heard of the mesh. */
export const PLAIN = 'kind-test-plain';

/** Requests per second: enough that a loss shows, little enough for a machine that runs three clusters. */
const LOAD_RATE = 20;

/** A Deployment of the example image. */
interface App {
  name: string;
  namespace: string;
  part: 'client' | 'server';
  env?: Record<string, string>;
  /** Of the pods. */
  annotations?: Record<string, string>;
}

/**
 * The suite's apps: in each cluster `web`, exported, with a second Service `hidden` that is not; in west `locked`, which lets meshed clients in alone, and
 * `outsider` without a sidecar; in east `load`, which calls `web` of west without end. What is there already stays.
 */
export async function deployApps(clusters: readonly TestCluster[]): Promise<void> {
  for (const cluster of clusters) {
    const apps: App[] = [{ name: 'web', namespace: MESHED, part: 'server' }, ...extraApps(cluster.name)];
    await applyObjects(cluster.client, [
      namespace(MESHED, { [annotation.inject]: 'enabled' }),
      namespace(PLAIN, {}),
      service('web', 'web', true),
      service('hidden', 'web', false),
      service('locked', 'locked', false),
      ...apps.flatMap((app) => appObjects(app, cluster.name)),
    ]);
    for (const { name, namespace: of } of apps) await rolledOut(cluster.name, of, name);
  }
}

function extraApps(cluster: string): App[] {
  if (cluster === 'west') {
    const annotations = { [annotation.defaultInboundPolicy]: 'all-authenticated' };
    return [
      { name: 'locked', namespace: MESHED, part: 'server', annotations },
      { name: 'outsider', namespace: PLAIN, part: 'server' },
    ];
  }
  if (cluster !== 'east') return [];
  const env = { TARGET: `http://web-west.${MESHED}.svc.cluster.local/`, RATE: String(LOAD_RATE) };
  return [{ name: 'load', namespace: MESHED, part: 'client', env }];
}

/** Removes all that `deployApps` makes, and what was mirrored into it. */
export async function removeApps({ client }: TestCluster): Promise<void> {
  for (const name of [MESHED, PLAIN]) {
    await ignoreMissing(client.delete(resources.namespaces, undefined, name));
  }
  for (const name of [MESHED, PLAIN]) {
    await eventually(`namespace ${name} to go`, async () => {
      try {
        await client.get(resources.namespaces, undefined, name);
        return false;
      } catch (error) {
        if (error instanceof KubernetesError && error.code === 404) return true;
        throw error;
      }
    });
  }
}

/** On port 80; clients are to retry what can be retried, which their mirrors take over. */
function service(name: string, app: string, exported: boolean): Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name,
      namespace: MESHED,
      labels: exported ? { [label.exported]: 'true' } : {},
      annotations: { 'retry.linkerd.io/http': '5xx', 'retry.linkerd.io/limit': '3' },
    },
    spec: { selector: { app }, ports: [{ name: 'http', port: 80, targetPort: 8080, protocol: 'TCP' }] },
  };
}

function namespace(name: string, annotations: Record<string, string>): KubernetesObject {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, annotations } };
}

/** The app, with a ServiceAccount of its own: its identity. */
function appObjects(app: App, cluster: string): KubernetesObject[] {
  const { name, namespace: of, part, env = {}, annotations = {} } = app;
  const labels = { app: name };
  const variables: EnvVar[] = [
    { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
    { name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
    ...Object.entries({ CLUSTER: cluster, ...env }).map(([key, value]) => ({ name: key, value })),
  ];
  const deployment: Deployment = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace: of },
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels, annotations },
        spec: {
          serviceAccountName: name,
          containers: [
            {
              name,
              image: EXAMPLE_IMAGE,
              args: [part],
              ports: [{ name: 'http', containerPort: 8080 }],
              env: variables,
            },
          ],
        },
      },
    },
  };
  return [{ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace: of } }, deployment];
}

async function ignoreMissing(call: Promise<void>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (!(error instanceof KubernetesError) || error.code !== 404) throw error;
  }
}
