import type { Container, EnvVar, Probe, Volume } from '../api/kubernetes-types.ts';
import {
  component,
  IDENTITY_TOKEN_AUDIENCE,
  IDENTITY_TOKEN_SECONDS,
  object,
  path,
  proxyEnv,
} from '../api/names.ts';
import { partEnv } from '../api/part-env.ts';
import { LIVENESS, READINESS_TIMEOUT_SECONDS } from '../api/part-probes.ts';
import type { SidecarPlan } from './sidecar-plan.ts';
import { sidecarTelemetry } from './sidecar-telemetry.ts';

const TOKEN_VOLUME = 'isthmus-identity-token';
const TRUST_VOLUME = 'isthmus-trust-roots';
/**
 * Seconds until a sidecar that gets no certificate is restarted. Long: a control plane that is away must not make every pod of the cluster restart in a loop.
 */
const STARTUP_SECONDS = 600;

/** The container of the proxy. What makes it a native sidecar, or holds the app back until it is ready, depends on where it stands: `placement.ts`. */
export function sidecarContainer(plan: SidecarPlan): Container {
  const { ports } = plan;
  return {
    name: component.proxy,
    image: plan.image,
    imagePullPolicy: plan.imagePullPolicy,
    args: ['proxy'],
    env: sidecarEnv(plan),
    ports: [
      { name: 'isthmus-proxy', containerPort: ports.inbound, protocol: 'TCP' },
      { name: 'isthmus-admin', containerPort: ports.admin, protocol: 'TCP' },
    ],
    readinessProbe: { ...adminProbe('/ready', ports.admin), periodSeconds: 2, failureThreshold: 3 },
    livenessProbe: { ...adminProbe('/live', ports.admin), ...LIVENESS },
    ...lifecycle(plan),
    resources: plan.resources,
    securityContext: {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      readOnlyRootFilesystem: true,
      runAsNonRoot: true,
      runAsUser: plan.uid,
      ...(plan.gid === undefined ? {} : { runAsGroup: plan.gid }),
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

function sidecarEnv(plan: SidecarPlan): EnvVar[] {
  const { context, config, ports } = plan;
  return [
    ...partEnv({ ...context, logLevel: plan.logLevel }),
    { name: proxyEnv.mode, value: context.proxyMode },
    {
      name: proxyEnv.defaultInboundPolicy,
      value: config.defaultInboundPolicy ?? context.defaultInboundPolicy,
    },
    { name: proxyEnv.clusterNetworks, value: context.clusterNetworks.join(',') },
    { name: proxyEnv.opaquePorts, value: config.opaquePorts ?? context.opaquePorts.join(',') },
    { name: proxyEnv.inboundPort, value: String(ports.inbound) },
    { name: proxyEnv.outboundPort, value: String(ports.outbound) },
    { name: proxyEnv.adminPort, value: String(ports.admin) },
    ...sidecarTelemetry(config, context.telemetry, plan.namespace),
    ...given(proxyEnv.inboundPorts, plan.appPorts),
    ...given(proxyEnv.inboundProbes, plan.probes),
    ...given(proxyEnv.shutdownGraceSeconds, secondsOf(config.shutdownGraceMs)),
    ...given(proxyEnv.ingress, plan.ingress ? true : undefined),
    ...given(proxyEnv.adminShutdown, config.adminShutdown),
    ...given(proxyEnv.inboundConnectMs, config.inboundConnectMs),
    ...given(proxyEnv.outboundConnectMs, config.outboundConnectMs),
    ...given(proxyEnv.inboundDetectMs, config.inboundDetectWaits === true ? 0 : undefined),
    ...given(proxyEnv.outboundDetectMs, config.outboundDetectWaits === true ? 0 : undefined),
  ];
}

function given(name: string, value: string | number | boolean | undefined): EnvVar[] {
  return value === undefined ? [] : [{ name, value: String(value) }];
}

function secondsOf(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : ms / 1_000;
}

function adminProbe(probePath: string, port: number): Probe {
  return { httpGet: { path: probePath, port }, timeoutSeconds: READINESS_TIMEOUT_SECONDS };
}

/** Holds the kubelet back from starting what follows until the sidecar, hence its identity, is there. */
export function startupProbe(plan: SidecarPlan): Probe {
  return { ...adminProbe('/ready', plan.ports.admin), periodSeconds: 1, failureThreshold: STARTUP_SECONDS };
}

/** Hooks of the container: a command that ends once the sidecar is ready, and one that delays its SIGTERM. */
function lifecycle({ waitsByHook, waitBeforeExitSeconds }: SidecarPlan): Pick<Container, 'lifecycle'> {
  const hooks = {
    ...(waitsByHook ? { postStart: { exec: { command: ['node', path.entrypoint, 'await'] } } } : {}),
    ...(waitBeforeExitSeconds > 0
      ? { preStop: { exec: { command: ['/bin/sleep', String(waitBeforeExitSeconds)] } } }
      : {}),
  };
  return Object.keys(hooks).length === 0 ? {} : { lifecycle: hooks };
}
