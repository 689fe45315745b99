/** Injection as a kubelet sees it: what starts before what, what ends with what, and what is told of pods that get no sidecar. One cluster is enough. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import type { Container, KubernetesObject, Pod, PodSpec } from '../../api/kubernetes-types.ts';
import { annotation, component, DEFAULT_MESH_NAMESPACE, EXAMPLE_IMAGE } from '../../api/names.ts';
import { applyObjects } from '../../cli/install/apply.ts';
import { kubectl } from '../../kind-clusters/kind.ts';
import { rolledOut } from '../../kind-clusters/mesh.ts';
import { resources } from '../../kubernetes/resources.ts';
import { KubernetesError } from '../../kubernetes/types.ts';
import { eventually, openTestCluster, type TestCluster } from './harness.ts';

const CLUSTER = 'west';
const NAMESPACE = 'kind-test-injection';
/** Neither root nor the sidecar's: a user of the sidecar's would pass the mesh by. */
const APP_USER = { runAsUser: 1000 };
const BESIDE = {
  'config.beta.linkerd.io/proxy-enable-native-sidecar': 'false',
  'config.linkerd.io/proxy-admin-shutdown': 'enabled',
};
/** As the server's app sees a client of the mesh in this namespace. */
const MESHED = new RegExp(`"client":"default\\.${NAMESPACE}\\.serviceaccount`);
const UNMESHED = /"client":null/;

/** Asks the server once, prints what it says, and does `then`. Ends with 1 when that fails. */
function asking(name: string, then = ''): Container {
  const script = `const answer = await fetch('http://web/');
console.log(await answer.text());
${then}
process.exit(answer.status === 200 ? 0 : 1);`;
  return {
    name,
    image: EXAMPLE_IMAGE,
    command: ['node', '--input-type=module', '--eval', script],
    securityContext: APP_USER,
  };
}

suite('injection', () => {
  let cluster: TestCluster;

  before(async () => {
    cluster = await openTestCluster(CLUSTER);
    const metadata = { name: NAMESPACE, annotations: { [annotation.inject]: 'enabled' } };
    await applyObjects(cluster.client, [
      { apiVersion: 'v1', kind: 'Namespace', metadata },
      service(),
      // Its peers find it at other ports than usual.
      deployment('web', server(), {
        'config.linkerd.io/inbound-port': '15143',
        'config.linkerd.io/admin-port': '15191',
      }),
    ]);
    await rolledOut(CLUSTER, NAMESPACE, 'web');
  });
  after(async () => {
    await cluster.client.delete(resources.namespaces, undefined, NAMESPACE);
    await eventually('the namespace to go', () => isGone(cluster));
    await cluster.client.close();
  });

  test('a Job ends with its main container; its init containers have the mesh, without a token of the account', async () => {
    const spec = {
      automountServiceAccountToken: false,
      initContainers: [asking('first')],
      containers: [asking('job')],
    };
    const pod = await finished('native', spec, {});
    assert.equal(pod.status?.phase, 'Succeeded');
    assert.match(await logs(pod, 'first'), MESHED);
    assert.match(await logs(pod, 'job'), MESHED);
  });

  test('beside the app: it starts when the sidecar is ready, its init containers have no mesh, and /shutdown ends the pod', async () => {
    const shutdown = "await fetch('http://127.0.0.1:4191/shutdown', { method: 'POST' });";
    const spec = { initContainers: [asking('first')], containers: [asking('job', shutdown)] };
    const pod = await finished('beside', spec, BESIDE);
    assert.equal(pod.status?.phase, 'Succeeded');
    assert.match(await logs(pod, 'first'), UNMESHED);
    // It asks once, as soon as it is started.
    assert.match(await logs(pod, 'job'), MESHED);
    const sidecar = pod.status.containerStatuses?.find(({ name }) => name === component.proxy);
    assert.equal(sidecar?.state?.terminated?.exitCode, 0);
  });

  test('pods that can have no sidecar run without, and their owner is told why', async () => {
    const spec: PodSpec = { containers: [{ name: 'idle', image: EXAMPLE_IMAGE, args: ['server'] }] };
    await applyObjects(cluster.client, [
      deployment('on-node', { ...spec, hostNetwork: true }),
      deployment('same-user', { ...spec, securityContext: { runAsUser: 2102 } }),
    ]);
    for (const [name, why] of [
      ['on-node', /hostNetwork/],
      ['same-user', /runs as user 2102, which is the sidecar's/],
    ] as const) {
      const message = await told(name, 'InjectionSkipped');
      assert.match(message, why);
    }
    // It is told before the pod is there: while it is admitted.
    const bare = await eventually('the pods of both', async () => {
      const pods = [...(await podsOf('on-node')), ...(await podsOf('same-user'))];
      return pods.length >= 2 ? pods : undefined;
    });
    assert.ok(bare.every((pod) => pod.spec?.initContainers === undefined));
  });

  test('a container that kubectl adds for debugging goes through the sidecar as the app does', async () => {
    const { items } = await cluster.client.list(resources.pods, {
      namespace: NAMESPACE,
      labelSelector: 'app=web',
    });
    const pod = items[0]?.metadata?.name ?? '';
    const script = `console.log(await (await fetch('http://web/')).text())`;
    const command = ['node', '--input-type=module', '--eval', script];
    const debug = ['--namespace', NAMESPACE, 'debug', pod, '--profile', 'sysadmin'];
    const options = ['--container', 'debugger', '--image', EXAMPLE_IMAGE];
    await kubectl(CLUSTER, [...debug, ...options, '--', ...command]);
    await eventually('the debugger to have asked', async () =>
      MESHED.test(await kubectl(CLUSTER, ['--namespace', NAMESPACE, 'logs', pod, '--container', 'debugger'])),
    );
  });

  test('a pod that was made while the injector was away is told of, and gets its sidecar by a restart', async () => {
    const controlPlane = {
      namespace: DEFAULT_MESH_NAMESPACE,
      labelSelector: `isthmus.dev/component=${component.controlPlane}`,
    };
    const scale = (replicas: number): Promise<unknown> =>
      cluster.client.mergePatch(resources.deployments, DEFAULT_MESH_NAMESPACE, component.controlPlane, {
        spec: { replicas },
      });
    try {
      await scale(0);
      await eventually(
        'the injector to be away',
        async () => (await cluster.client.list(resources.pods, controlPlane)).items.length === 0,
      );
      await applyObjects(cluster.client, [deployment('missed', server())]);
      await eventually('the pod to be there', async () => (await podsOf('missed')).length === 1);
    } finally {
      await scale(1);
    }
    assert.match(await told('missed', 'SidecarMissing'), /rollout restart deployment\/missed/);
    assert.equal((await podsOf('missed'))[0]?.spec?.initContainers, undefined);
    await rolledOut(CLUSTER, DEFAULT_MESH_NAMESPACE, component.controlPlane);
    // The injector is ready a moment before its Service leads the API server to it.
    await eventually('a restart to bring the sidecar', async () => {
      await kubectl(CLUSTER, ['--namespace', NAMESPACE, 'rollout', 'restart', 'deployment/missed']);
      await rolledOut(CLUSTER, NAMESPACE, 'missed');
      const [restarted] = await podsOf('missed');
      return restarted?.spec?.initContainers?.some(({ name }) => name === component.proxy);
    });
  });

  /** Runs a Job's pod to its end. */
  async function finished(name: string, spec: PodSpec, annotations: Record<string, string>): Promise<Pod> {
    await applyObjects(cluster.client, [job(name, spec, annotations)]);
    return eventually(`job ${name} to end`, async () => {
      const { items } = await cluster.client.list(resources.pods, {
        namespace: NAMESPACE,
        labelSelector: `job-name=${name}`,
      });
      return items.find(({ status }) => status?.phase === 'Succeeded' || status?.phase === 'Failed');
    });
  }

  function logs(pod: Pod, container: string): Promise<string> {
    const name = pod.metadata?.name ?? '';
    return kubectl(CLUSTER, ['--namespace', NAMESPACE, 'logs', name, '--container', container]);
  }

  /** The message of an event about a Deployment. */
  function told(deploymentName: string, reason: string): Promise<string> {
    return eventually(`event ${reason} of ${deploymentName}`, async () => {
      const { items } = await cluster.client.list(resources.events, { namespace: NAMESPACE });
      const event = items.find((one) => one.reason === reason && one.involvedObject.name === deploymentName);
      return event?.message;
    });
  }

  async function podsOf(app: string): Promise<Pod[]> {
    const { items } = await cluster.client.list(resources.pods, {
      namespace: NAMESPACE,
      labelSelector: `app=${app}`,
    });
    return items.filter(({ metadata }) => metadata?.deletionTimestamp === undefined);
  }
});

async function isGone({ client }: TestCluster): Promise<boolean> {
  try {
    await client.get(resources.namespaces, undefined, NAMESPACE);
    return false;
  } catch (error) {
    if (error instanceof KubernetesError && error.code === 404) return true;
    throw error;
  }
}

function server(): PodSpec {
  const podIp = { name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } };
  return {
    containers: [
      {
        name: 'web',
        image: EXAMPLE_IMAGE,
        args: ['server'],
        env: [podIp],
        ports: [{ name: 'http', containerPort: 8080 }],
        readinessProbe: { httpGet: { path: '/', port: 'http' }, periodSeconds: 1 },
      },
    ],
  };
}

function service(): KubernetesObject {
  const spec = { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080 }] };
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web', namespace: NAMESPACE },
    spec,
  } as KubernetesObject;
}

function deployment(name: string, spec: PodSpec, annotations: Record<string, string> = {}): KubernetesObject {
  const labels = { app: name };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace: NAMESPACE },
    spec: { selector: { matchLabels: labels }, template: { metadata: { labels, annotations }, spec } },
  } as KubernetesObject;
}

function job(name: string, spec: PodSpec, annotations: Record<string, string>): KubernetesObject {
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name, namespace: NAMESPACE },
    spec: {
      backoffLimit: 0,
      template: { metadata: { annotations }, spec: { ...spec, restartPolicy: 'Never' } },
    },
  } as KubernetesObject;
}
