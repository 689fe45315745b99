import { Registry } from 'prom-client';
import type { Deployment, EndpointSlice, Pod } from '../../../api/kubernetes-types.ts';
import { annotation, component, label, object, VERSION } from '../../../api/names.ts';
import { makeServingCertificate } from '../../../control-plane/serving-certificate.ts';
import { createIssuer, createTrustAnchor, type CertificateAndKey } from '../../../identity/index.ts';
import { type Injector, startInjector } from '../../../injector/index.ts';
import { startAdmin } from '../../../kubernetes/http-admin.ts';
import { silentLog } from '../../../kubernetes/log.ts';
import { registerReadings } from '../../../kubernetes/metrics.ts';
import { resources } from '../../../kubernetes/resources.ts';
import type { KubernetesClient } from '../../../kubernetes/types.ts';
import { applyCustomResourceDefinitions, applyObjects } from '../../install/apply.ts';
import { customResourceDefinitions, meshObjects } from '../../install/manifests.ts';
import { installValues } from '../../install/values.ts';
import { type Cleanups, startApiServer, type TestServer } from './api-server.ts';
import { renewed } from './node.ts';

export const MESH = 'isthmus';
const ADDRESS = '127.0.0.1';

/** What a pod's metrics tell of its identity; a test may change it. */
export interface Told {
  sequence: number;
  /** ms since the epoch. */
  certificateEnd: number;
}

/** A cluster in which `install` has been and all is well: real objects, real certificates, a real webhook; processes are this one's sockets. */
export interface TestMesh {
  server: TestServer;
  client: KubernetesClient;
  anchor: CertificateAndKey;
  injector: Injector;
  /** Of the components' pods and of those that are made later. */
  told: Told;
  /** A namespace in which pods may be made. */
  namespace(name: string): Promise<void>;
  /** A running pod with a sidecar that answers as `told` says. */
  meshedPod(namespace: string, name: string): Promise<Pod>;
}

export const SEQUENCE = 7;
const HOUR_MS = 3_600_000;

export async function startTestMesh(cleanups: Cleanups, clusterName: string): Promise<TestMesh> {
  const server = await startApiServer(cleanups, clusterName);
  const { client } = server;
  const anchor = await createTrustAnchor();
  const asked = { clusterName };
  const values = installValues(asked, { embedded: true });
  const issuer = await createIssuer({ anchor, clusterId: clusterName, trustDomain: values.trustDomain });
  const trust = {
    anchors: [anchor.certificate],
    issuerCertificate: issuer.certificate,
    issuerKey: issuer.key,
  };
  await applyCustomResourceDefinitions(client, customResourceDefinitions());
  await applyObjects(client, meshObjects({ values, asked, trust }));
  await applyObjects(client, [{ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } }]);

  const told: Told = { sequence: SEQUENCE, certificateEnd: Date.now() + 20 * HOUR_MS };
  const adminPort = await answerAs(cleanups, told);
  const injector = startInjector({
    client,
    host: ADDRESS,
    port: 0,
    podName: 'control-plane-1',
    context: {
      ...values,
      opaquePorts: [],
      telemetry: {},
      resources: {},
    },
    adoptLinkerd: false,
    makeCertificate: makeServingCertificate,
    registry: new Registry(),
    log: silentLog,
  });
  cleanups.add(() => injector.stop());
  while (injector.port === undefined || injector.notReady() !== undefined) await nextTurn();

  for (const name of [component.controlPlane, component.mirrorController, component.gateway]) {
    await makeAvailable(client, name, adminPort);
  }
  for (const name of [component.identity, component.destination, component.policy, component.gateway]) {
    await serve(client, name, { name: 'any', port: 1 });
  }
  await serve(client, component.injector, { name: 'https-injector', port: injector.port });
  await telling(client);
  return {
    server,
    client,
    anchor,
    injector,
    told,
    namespace: async (name) => {
      await client.create(resources.namespaces, { metadata: { name } });
      await client.create(resources.serviceAccounts, { metadata: { name: 'default', namespace: name } });
    },
    meshedPod: async (namespace, name) => {
      const pod = meshedPod(namespace, name, adminPort);
      const made = await client.create(resources.pods, pod);
      return client.replace(resources.pods, { ...made, status: pod.status ?? {} }, STATUS);
    },
  };
}

const STATUS = { subresource: 'status' };

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 5);
  });
}

/** The admin server of a process, whose metrics are as `told` says. */
async function answerAs(cleanups: Cleanups, told: Told): Promise<number> {
  const registry = new Registry();
  registerReadings(registry, () => [
    {
      name: 'isthmus_identity_trust_bundle_sequence',
      help: 'h',
      type: 'gauge',
      value: told.sequence,
    },
    {
      name: 'control_identity_cert_expiration_timestamp_seconds',
      help: 'h',
      type: 'gauge',
      value: told.certificateEnd / 1000,
    },
  ]);
  const admin = await startAdmin({ host: ADDRESS, port: 0, registry, ready: () => undefined });
  cleanups.add(() => admin.close());
  return admin.port;
}

function runningStatus(container: string): NonNullable<Pod['status']> {
  const state = { name: container, ready: true, restartCount: 0, image: 'i', imageID: '' };
  return { phase: 'Running', podIP: ADDRESS, podIPs: [{ ip: ADDRESS }], initContainerStatuses: [state] };
}

/** What the controllers of a cluster would have made of a Deployment. */
async function makeAvailable(client: KubernetesClient, name: string, adminPort: number): Promise<void> {
  const deployment: Deployment = await client.get(resources.deployments, MESH, name);
  const replicas = deployment.spec?.replicas ?? 1;
  const status = {
    observedGeneration: deployment.metadata?.generation ?? 1,
    replicas,
    updatedReplicas: replicas,
    readyReplicas: replicas,
    availableReplicas: replicas,
  };
  await client.replace(resources.deployments, { ...deployment, status }, STATUS);
  const { template } = deployment.spec ?? {};
  const [container] = template?.spec?.containers ?? [];
  const pod = await client.create(resources.pods, {
    metadata: { ...template?.metadata, name: `${name}-1`, namespace: MESH },
    spec: {
      serviceAccountName: name,
      automountServiceAccountToken: false,
      containers: [
        {
          name: container?.name ?? '',
          image: container?.image ?? '',
          ports: [{ name: 'admin', containerPort: adminPort }],
        },
      ],
    },
  });
  await client.replace(resources.pods, { ...pod, status: runningStatus(name) }, STATUS);
}

/** A pod with a sidecar, as it is when it runs. */
export function meshedPod(namespace: string, name: string, adminPort: number): Pod {
  return {
    status: runningStatus(component.proxy),
    metadata: {
      name,
      namespace,
      labels: { [label.controlPlaneNs]: MESH },
      annotations: { [annotation.proxyVersion]: VERSION },
    },
    spec: {
      automountServiceAccountToken: false,
      initContainers: [
        {
          name: component.proxy,
          image: 'i',
          restartPolicy: 'Always',
          ports: [{ name: 'isthmus-admin', containerPort: adminPort }],
        },
      ],
      containers: [{ name: 'app', image: 'i' }],
    },
  };
}

async function serve(
  client: KubernetesClient,
  service: string,
  endpointPort: { name: string; port: number },
): Promise<void> {
  const slice: EndpointSlice = {
    metadata: { name: service, namespace: MESH, labels: { [label.sliceServiceName]: service } },
    addressType: 'IPv4',
    endpoints: [{ addresses: [ADDRESS], conditions: { ready: true } }],
    ports: [{ ...endpointPort, protocol: 'TCP' }],
  };
  await client.create(resources.endpointSlices, slice);
}

/** What the control plane, the mirror controller, a load balancer and a kubelet would have told. */
async function telling(client: KubernetesClient): Promise<void> {
  const bundle = await client.get(resources.trustBundles, undefined, object.trustBundle);
  const acknowledged = {
    type: 'Acknowledged',
    status: 'True' as const,
    reason: 'AllAcknowledged',
    message: '3 of 3 meshed pods have put bundle 7 into use',
    lastTransitionTime: new Date().toISOString(),
  };
  const status = { sequence: SEQUENCE, acknowledgements: [], conditions: [acknowledged] };
  await client.replace(resources.trustBundles, { ...bundle, status }, STATUS);
  const gateway = await client.get(resources.services, MESH, component.gateway);
  const ingress = [{ ip: '198.18.0.1' }];
  await client.replace(resources.services, { ...gateway, status: { loadBalancer: { ingress } } }, STATUS);
  await client.create(resources.leases, {
    metadata: { name: component.mirrorController, namespace: MESH },
    spec: { holderIdentity: 'mirror-1', renewTime: renewed(0) },
  });
}
