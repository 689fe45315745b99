import {
  env,
  IDENTITY_TOKEN_AUDIENCE,
  IDENTITY_TOKEN_SECONDS,
  component,
  label,
  object,
  path,
  port,
} from '../../api/names.ts';
import type {
  Container,
  EnvVar,
  ObjectMeta,
  PodSpec,
  Volume,
  VolumeMount,
} from '../../api/kubernetes-types.ts';
import type { InstallValues } from './values.ts';

/** What a component of the mesh is, as far as its pod goes. */
export interface Component {
  name: string;
  /** Argument of the image: which part it runs as. */
  part: 'control-plane' | 'mirror-controller' | 'gateway';
  adminPort: number;
  ports: { name: string; containerPort: number }[];
  extraEnv?: EnvVar[];
  /** A part whose identity comes from Certify mounts its token; the control plane issues its own. */
  identityToken: boolean;
  /** Seconds between SIGTERM and SIGKILL. */
  graceSeconds: number;
}

export function labels(name: string): Record<string, string> {
  return {
    [label.component]: name,
    [label.managedBy]: 'isthmus',
    'app.kubernetes.io/name': name,
    'app.kubernetes.io/part-of': 'isthmus',
  };
}

export function meta(values: InstallValues, name: string, of: string = name): ObjectMeta {
  return { name, namespace: values.meshNamespace, labels: labels(of) };
}

function fieldEnv(name: string, fieldPath: string): EnvVar {
  return { name, valueFrom: { fieldRef: { fieldPath } } };
}

/** The environment that every part reads (ARCHITECTURE.md 2). */
function sharedEnv(values: InstallValues): EnvVar[] {
  const address = (service: string, servicePort: number): string =>
    `${service}.${values.meshNamespace}.svc.${values.clusterDomain}:${servicePort}`;
  return [
    fieldEnv(env.podName, 'metadata.name'),
    fieldEnv(env.podNamespace, 'metadata.namespace'),
    fieldEnv(env.podIp, 'status.podIP'),
    fieldEnv(env.nodeName, 'spec.nodeName'),
    fieldEnv(env.serviceAccount, 'spec.serviceAccountName'),
    { name: env.clusterName, value: values.clusterName },
    { name: env.meshNamespace, value: values.meshNamespace },
    { name: env.clusterDomain, value: values.clusterDomain },
    { name: env.trustDomain, value: values.trustDomain },
    { name: env.identityAddress, value: address(component.identity, port.identity) },
    { name: env.destinationAddress, value: address(component.destination, port.destination) },
    { name: env.policyAddress, value: address(component.policy, port.policy) },
    { name: env.trustAnchorsFile, value: path.trustRoots },
    { name: env.identityTokenFile, value: path.identityToken },
    { name: env.logLevel, value: values.logLevel },
  ];
}

/** The pod of a component: hardened as Pod Security `restricted` asks. */
export function podSpec(values: InstallValues, c: Component): PodSpec {
  const volumes: Volume[] = [
    { name: 'trust-roots', configMap: { name: object.trustRootsConfigMap } },
    { name: 'tmp', emptyDir: {} },
  ];
  const volumeMounts: VolumeMount[] = [
    { name: 'trust-roots', mountPath: path.trustRootsDir, readOnly: true },
    { name: 'tmp', mountPath: '/tmp' },
  ];
  if (c.identityToken) {
    volumes.push({
      name: 'identity-token',
      projected: {
        sources: [
          {
            serviceAccountToken: {
              audience: IDENTITY_TOKEN_AUDIENCE,
              expirationSeconds: IDENTITY_TOKEN_SECONDS,
              path: 'isthmus-identity-token',
            },
          },
        ],
      },
    });
    volumeMounts.push({ name: 'identity-token', mountPath: path.identityTokenDir, readOnly: true });
  }
  const probe = (probePath: string): { path: string; port: number } => ({
    path: probePath,
    port: c.adminPort,
  });
  const container: Container = {
    name: c.part,
    image: values.image,
    imagePullPolicy: 'IfNotPresent',
    args: [c.part],
    env: [...sharedEnv(values), ...(c.extraEnv ?? [])],
    ports: [...c.ports, { name: 'admin', containerPort: c.adminPort }],
    volumeMounts,
    readinessProbe: { httpGet: probe('/ready'), periodSeconds: 1, failureThreshold: 3 },
    livenessProbe: {
      httpGet: probe('/live'),
      initialDelaySeconds: 10,
      periodSeconds: 10,
      failureThreshold: 3,
    },
    resources: { requests: { cpu: '50m', memory: '64Mi' } },
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      runAsNonRoot: true,
      runAsUser: 2102,
      capabilities: { drop: ['ALL'] },
      seccompProfile: { type: 'RuntimeDefault' },
    },
  };
  return {
    serviceAccountName: c.name,
    terminationGracePeriodSeconds: c.graceSeconds,
    containers: [container],
    volumes,
  };
}
