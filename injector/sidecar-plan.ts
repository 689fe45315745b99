import type { Container, ObjectMeta, Pod, PodSpec } from '../api/kubernetes-types.ts';
import { component, port, PROXY_UID } from '../api/names.ts';
import { isAppSidecar, probePaths } from '../api/pod-probes.ts';
import { proxyConfig } from './annotations.ts';
import type { InjectionContext } from './context.ts';
import { portList } from './port-list.ts';
import type { ProxyConfig } from './proxy-config.ts';
import { sidecarResources } from './sidecar-resources.ts';

/** Ports of one sidecar. */
export interface SidecarPorts {
  readonly inbound: number;
  readonly outbound: number;
  readonly admin: number;
}

/** Everything about one pod's sidecar, decided: what the containers are made from. */
export interface SidecarPlan {
  readonly context: InjectionContext;
  /** What annotations ask for; lists of ports as the proxy takes them. */
  readonly config: ProxyConfig;
  readonly namespace: string;
  readonly image: string;
  readonly imagePullPolicy: string;
  readonly logLevel: string;
  readonly uid: number;
  readonly gid: number | undefined;
  readonly ports: SidecarPorts;
  readonly resources: NonNullable<Container['resources']>;
  /** A native sidecar (KEP-753): started before the app, stopped after it, and a Job ends without it. */
  readonly native: boolean;
  /** The app starts once the sidecar is ready. */
  readonly awaits: boolean;
  /** It is held back by a hook: the sidecar is a container beside the app's. */
  readonly waitsByHook: boolean;
  readonly waitBeforeExitSeconds: number;
  /** Ports that the apps declare, as the proxy takes them. */
  readonly appPorts: string | undefined;
  /** What the kubelet asks the apps for, as the proxy takes it. */
  readonly probes: string | undefined;
  /** The app is an ingress controller, whose requests name their Services. */
  readonly ingress: boolean;
}

/** What pod and namespace ask of the sidecar over what the install says, and what of it could not be done. */
export function sidecarPlan(
  pod: Pod,
  namespace: ObjectMeta | undefined,
  context: InjectionContext,
  ingress: boolean,
): { plan: SidecarPlan; warnings: string[] } {
  const spec = pod.spec ?? { containers: [] };
  const { config, warnings } = proxyConfig(pod.metadata, namespace);
  for (const [setting, what] of PORT_LISTS) {
    const text = config[setting];
    if (text === undefined) continue;
    const list = portList(text, spec.containers, what);
    config[setting] = list.ports;
    warnings.push(...list.warnings);
  }
  const { resources, warnings: aboveLimit } = sidecarResources(context.resources, config);
  const { ports, warnings: portWarnings } = sidecarPorts(config, spec);
  const native = config.nativeSidecar ?? true;
  const awaits = config.await ?? true;
  const plan: SidecarPlan = {
    context,
    config,
    namespace: namespace?.name ?? pod.metadata?.namespace ?? 'default',
    image: config.image ?? tagged(context.image, config.version),
    imagePullPolicy: config.imagePullPolicy ?? context.imagePullPolicy,
    logLevel: config.logLevel ?? context.logLevel,
    uid: config.proxyUid ?? PROXY_UID,
    gid: config.proxyGid,
    ports,
    resources,
    native,
    awaits,
    // In the embedded cluster there is no such command; an app that is told of its proxy gets an error from it instead of none.
    waitsByHook: !native && awaits && context.proxyMode === 'redirect',
    waitBeforeExitSeconds: config.waitBeforeExitSeconds ?? 0,
    appPorts: declaredPorts(spec),
    probes: probeList(spec),
    ingress,
  };
  return {
    plan,
    warnings: [...warnings, ...aboveLimit, ...portWarnings, ...(native ? [] : besideWarnings(spec, config))],
  };
}

const PORT_LISTS = [
  ['opaquePorts', 'opaque ports'],
  ['skipInboundPorts', 'skipped inbound ports'],
  ['skipOutboundPorts', 'skipped outbound ports'],
] as const satisfies [keyof ProxyConfig, string][];

/** Of all containers but our own: those that are told of are sure to be used. */
function declaredPorts(spec: PodSpec): string | undefined {
  const apps = spec.containers.filter(({ name }) => name !== component.proxy);
  const ports = [...apps, ...(spec.initContainers ?? []).filter(isAppSidecar)]
    .flatMap((container) => container.ports ?? [])
    .filter(({ protocol = 'TCP' }) => protocol === 'TCP')
    .map(({ containerPort }) => containerPort);
  return ports.length === 0 ? undefined : [...new Set(ports)].join(',');
}

/** What a variable does not carry as it is (Kubernetes replaces `$(…)` in it, blanks stand between entries) is left to the control plane. */
function probeList(spec: PodSpec): string | undefined {
  const entries = [...probePaths(spec)].flatMap(([at, paths]) =>
    paths.filter((path) => !/[\s$]/.test(path)).map((path) => `${at}${path}`),
  );
  return entries.length === 0 ? undefined : entries.join(' ');
}

function sidecarPorts(config: ProxyConfig, spec: PodSpec): { ports: SidecarPorts; warnings: string[] } {
  const asked = {
    inbound: config.inboundPort ?? port.inbound,
    outbound: config.outboundPort ?? port.outbound,
    admin: config.adminPort ?? port.admin,
  };
  const own = new Set(Object.values(asked));
  if (own.size < 3) {
    const ports = { inbound: port.inbound, outbound: port.outbound, admin: port.admin };
    return { ports, warnings: ['two of the sidecar’s ports are the same; all three are left as they are'] };
  }
  const warnings = spec.containers
    .flatMap(({ name, ports = [] }) => ports.map(({ containerPort }) => ({ name, containerPort })))
    .filter(({ containerPort }) => own.has(containerPort))
    .map(
      ({ name, containerPort }) =>
        `port ${containerPort} of container ${name} is the sidecar's own: give the sidecar another by the annotations inbound-port, outbound-port or admin-port`,
    );
  return { ports: asked, warnings };
}

/** A container beside the app's goes on when the app has ended, and the pod with it. */
function besideWarnings(spec: PodSpec, config: ProxyConfig): string[] {
  const ends = spec.restartPolicy === 'Never' || spec.restartPolicy === 'OnFailure';
  if (!ends) return [];
  const how =
    config.adminShutdown === true
      ? 'the app has to POST to /shutdown at the admin port of its sidecar'
      : 'proxy-admin-shutdown has to be enabled, and the app has to POST to /shutdown at the admin port';
  return [`without a native sidecar the pod does not end with its app: ${how}`];
}

function tagged(image: string, tag: string | undefined): string {
  return tag === undefined ? image : `${image.replace(/(@[^/]*|:[^/:]*)$/, '')}:${tag}`;
}
