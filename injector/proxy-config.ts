import { parseLogLevel } from '../api/log-level.ts';
import { quantityValue } from '../api/quantity.ts';
import { isIP } from 'node:net';
import { durationMs } from './duration.ts';

/** Resource quantities by name of their annotation, as Kubernetes writes them (`100m`, `64Mi`). */
export interface Quantities {
  cpuRequest?: string;
  cpuLimit?: string;
  memoryRequest?: string;
  memoryLimit?: string;
  ephemeralStorageRequest?: string;
  ephemeralStorageLimit?: string;
}

/** What a pod or its namespace asks of the sidecar. */
export interface ProxyConfig extends Quantities {
  /** One of our logger's levels. */
  logLevel?: string;
  /** Format of the access log, or `none`. */
  accessLog?: string;
  /** `host:port`; `none`: no spans, whatever the install says. */
  traceCollector?: string;
  /** A ServiceAccount of the collector's namespace, or `namespace/name`. */
  traceCollectorServiceAccount?: string;
  /** From 0 to 1. */
  traceSampling?: string;
  /** `service.name` of the spans. */
  traceServiceName?: string;
  /** Image with tag. */
  image?: string;
  /** Tag alone. */
  version?: string;
  imagePullPolicy?: string;
  defaultInboundPolicy?: string;
  opaquePorts?: string;
  /** User and group id of the sidecar. */
  proxyUid?: number;
  proxyGid?: number;
  skipInboundPorts?: string;
  skipOutboundPorts?: string;
  skipSubnets?: string;
  inboundPort?: number;
  outboundPort?: number;
  adminPort?: number;
  /** A native sidecar (KEP-753), or a container beside the app's. */
  nativeSidecar?: boolean;
  /** The app starts once the sidecar is ready. */
  await?: boolean;
  /** `POST /shutdown` at the admin port ends the sidecar. */
  adminShutdown?: boolean;
  /** Milliseconds that requests in flight get after SIGTERM. */
  shutdownGraceMs?: number;
  /** Seconds between the pod's end and the sidecar's SIGTERM. */
  waitBeforeExitSeconds?: number;
  /** Milliseconds for a connection to the app, and to a peer. */
  inboundConnectMs?: number;
  outboundConnectMs?: number;
  /** A client that says nothing is waited for without end. */
  inboundDetectWaits?: boolean;
  outboundDetectWaits?: boolean;
}

/** How one setting is written. */
export interface Setting<T> {
  /** Name of the annotation behind its prefix. */
  readonly annotation: string;
  /** Prefixes of Linkerd's annotation of that name, the strongest first. None: Linkerd's would mean Linkerd's image. */
  readonly linkerd: readonly string[];
  /** What the value has to be, for a warning. */
  readonly expected: string;
  /** Undefined: the text is not that. */
  readonly parse: (text: string) => T | undefined;
}

const LINKERD = ['config.linkerd.io'] as const;
const ALPHA = ['config.linkerd.io', 'config.alpha.linkerd.io'] as const;
const BETA = ['config.linkerd.io', 'config.beta.linkerd.io', 'config.alpha.linkerd.io'] as const;

/** Every setting, by Linkerd's names of the annotations (`docs/annotations.md`). */
export const SETTINGS: { readonly [K in keyof ProxyConfig]-?: Setting<NonNullable<ProxyConfig[K]>> } = {
  cpuRequest: quantity('proxy-cpu-request', '100m'),
  cpuLimit: quantity('proxy-cpu-limit', '1'),
  memoryRequest: quantity('proxy-memory-request', '64Mi'),
  memoryLimit: quantity('proxy-memory-limit', '250Mi'),
  ephemeralStorageRequest: quantity('proxy-ephemeral-storage-request', '64Mi'),
  ephemeralStorageLimit: quantity('proxy-ephemeral-storage-limit', '128Mi'),
  logLevel: setting('proxy-log-level', 'one of error, warn, info, debug, trace', parseLogLevel),
  accessLog: setting('access-log', 'json, apache or none', matching(/^(json|apache|none)$/)),
  traceCollector: setting('trace-collector', 'host:port or none', matching(/^([\w.-]+:\d{1,5}|none)$/)),
  traceCollectorServiceAccount: {
    ...setting(
      'trace-collector-service-account',
      'a ServiceAccount, or namespace/name',
      matching(/^([a-z0-9-]+\/)?[a-z0-9][a-z0-9.-]*$/),
    ),
    linkerd: ALPHA,
  },
  traceSampling: { ...setting('trace-sampling', 'a number from 0 to 1', share), linkerd: [] },
  traceServiceName: { ...setting('trace-service-name', 'a name', matching(/^[\w./-]{1,128}$/)), linkerd: [] },
  image: { ...setting('proxy-image', 'an image', matching(/^\S+$/)), linkerd: [] },
  version: { ...setting('proxy-version', 'a tag', matching(/^[\w][\w.-]{0,127}$/)), linkerd: [] },
  imagePullPolicy: setting(
    'image-pull-policy',
    'Always, IfNotPresent or Never',
    matching(/^(Always|IfNotPresent|Never)$/),
  ),
  defaultInboundPolicy: setting(
    'default-inbound-policy',
    'all-unauthenticated, all-authenticated, cluster-unauthenticated, cluster-authenticated, deny or audit',
    matching(/^(all|cluster)-(un)?authenticated$|^deny$|^audit$/),
  ),
  opaquePorts: setting('opaque-ports', 'ports', (text) => text),
  proxyUid: setting('proxy-uid', 'a user id above 0', id),
  proxyGid: setting('proxy-gid', 'a group id above 0', id),
  skipInboundPorts: setting('skip-inbound-ports', 'ports', (text) => text),
  skipOutboundPorts: setting('skip-outbound-ports', 'ports', (text) => text),
  skipSubnets: setting('skip-subnets', 'a list of address blocks such as 10.0.0.0/8', subnets),
  inboundPort: setting('inbound-port', 'a port', port),
  outboundPort: setting('outbound-port', 'a port', port),
  adminPort: setting('admin-port', 'a port', port),
  nativeSidecar: { ...setting('proxy-enable-native-sidecar', 'true or false', flag), linkerd: BETA },
  await: setting('proxy-await', 'enabled or disabled', flag),
  adminShutdown: setting('proxy-admin-shutdown', 'enabled or disabled', flag),
  shutdownGraceMs: setting('shutdown-grace-period', 'a duration such as 30s', durationMs),
  waitBeforeExitSeconds: {
    ...setting('proxy-wait-before-exit-seconds', 'a number of seconds', seconds),
    linkerd: ALPHA,
  },
  inboundConnectMs: setting('proxy-inbound-connect-timeout', 'a duration such as 100ms', someTime),
  outboundConnectMs: setting('proxy-outbound-connect-timeout', 'a duration such as 1000ms', someTime),
  inboundDetectWaits: setting('proxy-disable-inbound-protocol-detect-timeout', 'true or false', flag),
  outboundDetectWaits: setting('proxy-disable-outbound-protocol-detect-timeout', 'true or false', flag),
};

function setting<T>(
  annotation: string,
  expected: string,
  parse: (text: string) => T | undefined,
): Setting<T> {
  return { annotation, linkerd: LINKERD, expected, parse };
}

function quantity(annotation: string, example: string): Setting<string> {
  return setting(annotation, `a quantity such as ${example}`, (text) =>
    (quantityValue(text) ?? -1) < 0 ? undefined : text,
  );
}

function matching(pattern: RegExp): (text: string) => string | undefined {
  return (text) => (pattern.test(text) ? text : undefined);
}

/** The highest id of Linux that is one (-1 means "no id"). */
const MAX_ID = 4_294_967_294;

/** Root is what most images' apps run as: its connections can't be the sidecar's. */
function id(text: string): number | undefined {
  return whole(text, 1, MAX_ID);
}

function port(text: string): number | undefined {
  return whole(text, 1, 65_535);
}

/** A day: what is longer is a mistake, and the pod's own grace period ends it anyway. */
const MAX_WAIT_SECONDS = 86_400;

function seconds(text: string): number | undefined {
  return whole(text, 0, MAX_WAIT_SECONDS);
}

function whole(text: string, least: number, most: number): number | undefined {
  const value = Number(text);
  return /^\d{1,10}$/.test(text) && value >= least && value <= most ? value : undefined;
}

function someTime(text: string): number | undefined {
  const ms = durationMs(text);
  return ms === undefined || ms < 1 ? undefined : Math.round(ms);
}

function share(text: string): string | undefined {
  return /^(0(\.\d{1,9})?|1(\.0{1,9})?)$/.test(text) ? text : undefined;
}

/** Both of Linkerd's ways to say yes and no. */
function flag(text: string): boolean | undefined {
  if (text === 'true' || text === 'enabled') return true;
  return text === 'false' || text === 'disabled' ? false : undefined;
}

/** What the program that sets the rules would end over must not reach it. */
function subnets(text: string): string | undefined {
  const parts = text.split(',').map((part) => part.trim());
  return parts.every((part) => part === '' || isSubnet(part)) ? text : undefined;
}

function isSubnet(text: string): boolean {
  const [address = '', prefix = '', ...rest] = text.split('/');
  const family = isIP(address);
  const most = family === 4 ? 32 : 128;
  return family !== 0 && rest.length === 0 && /^\d{1,3}$/.test(prefix) && Number(prefix) <= most;
}
