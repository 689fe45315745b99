import { partEnv } from '../api/part-env.ts';
import type { Container, EnvVar, Probe, Volume } from '../api/kubernetes-types.ts';
import {
  component,
  IDENTITY_TOKEN_AUDIENCE,
  IDENTITY_TOKEN_SECONDS,
  object,
  path,
  port,
  PROXY_UID,
  proxyEnv,
} from '../api/names.ts';
import type { ProxyConfig } from './annotations.ts';
import type { InjectionContext } from './context.ts';

const TOKEN_VOLUME = 'isthmus-identity-token';
const TRUST_VOLUME = 'isthmus-trust-roots';
/**
 * Seconds until a sidecar that gets no certificate is restarted. Long: a control plane that is away must not make every pod of the cluster restart in a loop.
 */
const STARTUP_SECONDS = 600;

/** The proxy as a native sidecar (KEP-753): the kubelet starts what follows once its startup probe, hence its identity, is there. */
export function sidecarContainer(context: InjectionContext, config: ProxyConfig): Container {
  return {
    name: component.proxy,
    image: config.image ?? context.image,
    ...(context.imagePullPolicy === undefined ? {} : { imagePullPolicy: context.imagePullPolicy }),
    args: ['proxy'],
    restartPolicy: 'Always',
    env: sidecarEnv(context, config),
    ports: [
      { name: 'isthmus-proxy', containerPort: port.inbound, protocol: 'TCP' },
      { name: 'isthmus-admin', containerPort: port.admin, protocol: 'TCP' },
    ],
    startupProbe: { ...adminProbe('/ready'), periodSeconds: 1, failureThreshold: STARTUP_SECONDS },
    readinessProbe: { ...adminProbe('/ready'), periodSeconds: 2, failureThreshold: 3 },
    livenessProbe: { ...adminProbe('/live'), periodSeconds: 10, failureThreshold: 3 },
    resources: sidecarResources(context, config),
    securityContext: {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      readOnlyRootFilesystem: true,
      runAsNonRoot: true,
      runAsUser: Number(config.proxyUid ?? PROXY_UID),
      seccompProfile: { type: 'RuntimeDefault' },
    },
    terminationMessagePolicy: 'FallbackToLogsOnError',
    volumeMounts: [
      { name: TOKEN_VOLUME, mountPath: path.identityTokenDir, readOnly: true },
      { name: TRUST_VOLUME, mountPath: path.trustRootsDir, readOnly: true },
    ],
  };
}

/** The token that Certify takes, and the anchors it starts with. The ConfigMap is not optional: the control plane keeps it in every meshed namespace. */
export function sidecarVolumes(): Volume[] {
  return [
    {
      name: TOKEN_VOLUME,
      projected: {
        sources: [
          {
            serviceAccountToken: {
              audience: IDENTITY_TOKEN_AUDIENCE,
              expirationSeconds: IDENTITY_TOKEN_SECONDS,
              path: path.identityToken.slice(path.identityTokenDir.length + 1),
            },
          },
        ],
      },
    },
    { name: TRUST_VOLUME, configMap: { name: object.trustRootsConfigMap } },
  ];
}

function sidecarEnv(context: InjectionContext, config: ProxyConfig): EnvVar[] {
  return [
    ...partEnv({ ...context, logLevel: config.logLevel ?? context.logLevel }),
    { name: proxyEnv.mode, value: context.proxyMode },
    {
      name: proxyEnv.defaultInboundPolicy,
      value: config.defaultInboundPolicy ?? context.defaultInboundPolicy,
    },
    { name: proxyEnv.clusterNetworks, value: context.clusterNetworks.join(',') },
    { name: proxyEnv.opaquePorts, value: config.opaquePorts ?? context.opaquePorts.join(',') },
  ];
}

function adminProbe(probePath: string): Probe {
  return { httpGet: { path: probePath, port: port.admin }, timeoutSeconds: 1 };
}

function sidecarResources(
  context: InjectionContext,
  config: ProxyConfig,
): NonNullable<Container['resources']> {
  const { cpuRequest, cpuLimit, memoryRequest, memoryLimit } = { ...context.resources, ...config };
  return {
    requests: quantities(cpuRequest, memoryRequest),
    limits: quantities(cpuLimit, memoryLimit),
  };
}

function quantities(cpu: string | undefined, memory: string | undefined): Record<string, string> {
  return { ...(cpu === undefined ? {} : { cpu }), ...(memory === undefined ? {} : { memory }) };
}
