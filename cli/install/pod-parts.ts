import { partEnv } from '../../api/part-env.ts';
import { LIVENESS, READINESS_TIMEOUT_SECONDS } from '../../api/part-probes.ts';
import {
  IDENTITY_TOKEN_AUDIENCE,
  IDENTITY_TOKEN_SECONDS,
  label,
  object,
  ownLabels,
  path,
} from '../../api/names.ts';
import type {
  Container,
  EnvVar,
  ObjectMeta,
  PodSpec,
  Volume,
  VolumeMount,
} from '../../api/kubernetes-types.ts';
import type { ComponentValues, InstallValues } from './values.ts';

/** What a component of the mesh is, as far as its pods go. */
export interface Component extends ComponentValues {
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

/** Labels of everything that belongs to a component. */
export function labels(name: string): Record<string, string> {
  return {
    [label.component]: name,
    ...ownLabels,
    'app.kubernetes.io/name': name,
  };
}

/** Metadata of an object of the mesh namespace. @param of the component that it belongs to */
export function meta(values: InstallValues, name: string, of: string = name): ObjectMeta {
  return { name, namespace: values.meshNamespace, labels: labels(of) };
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
    imagePullPolicy: values.imagePullPolicy,
    args: [c.part],
    env: [...partEnv(values), ...(c.extraEnv ?? [])],
    ports: [...c.ports, { name: 'admin', containerPort: c.adminPort }],
    volumeMounts,
    readinessProbe: {
      httpGet: probe('/ready'),
      periodSeconds: 1,
      timeoutSeconds: READINESS_TIMEOUT_SECONDS,
      failureThreshold: 3,
    },
    livenessProbe: { httpGet: probe('/live'), initialDelaySeconds: 10, ...LIVENESS },
    resources: c.resources,
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
    ...(values.priorityClassName === undefined ? {} : { priorityClassName: values.priorityClassName }),
    affinity: { podAntiAffinity: antiAffinity(values, c.name) },
    containers: [container],
    volumes,
  };
}

/** Replicas go to different nodes, and where they can to different zones. */
function antiAffinity({ podAntiAffinity }: InstallValues, name: string): Record<string, unknown> {
  const apart = (topologyKey: string): Record<string, unknown> => ({
    labelSelector: { matchLabels: { [label.component]: name } },
    topologyKey,
  });
  const preferred = (weight: number, topologyKey: string): Record<string, unknown> => ({
    weight,
    podAffinityTerm: apart(topologyKey),
  });
  const zones = preferred(50, label.zone);
  const node = 'kubernetes.io/hostname';
  return podAntiAffinity === 'required'
    ? {
        requiredDuringSchedulingIgnoredDuringExecution: [apart(node)],
        preferredDuringSchedulingIgnoredDuringExecution: [zones],
      }
    : { preferredDuringSchedulingIgnoredDuringExecution: [preferred(100, node), zones] };
}
