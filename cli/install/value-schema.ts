import { checkNetworks } from '../../api/cluster-networks.ts';
import { DEFAULT_INBOUND_POLICIES } from '../../api/default-policies.ts';
import {
  ACCESS_LOG_FORMATS,
  ANTI_AFFINITIES,
  FAILURE_POLICIES,
  GATEWAY_SERVICE_TYPES,
  LOG_LEVELS,
  PROXY_MODES,
  type ValueOf,
  type ValuePath,
} from './values.ts';

/** One value that can be set: how it is read from text or YAML, and what it does. */
export interface ValueKind<T> {
  /** The value, or undefined when it can not be one. */
  read: (given: unknown) => T | undefined;
  /** Completes "it must be …". */
  expected: string;
  describe: string;
}

/** RFC 1123: what names a namespace, and a cluster id's alphabet. */
const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const DNS_NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
/** resource.Quantity of Kubernetes. */
const QUANTITY = /^\d+(\.\d+)?([numkMGTPE]|[KMGTPE]i|[eE]-?\d+)?$/;
/** The API's own bound on a webhook's time. */
const MAX_WEBHOOK_SECONDS = 30;

function text<T extends string = string>(pattern: RegExp, expected: string, describe: string): ValueKind<T> {
  const read = (given: unknown): T | undefined => {
    const word = typeof given === 'number' ? String(given) : given;
    return typeof word === 'string' && pattern.test(word) ? (word as T) : undefined;
  };
  return { read, expected, describe };
}

function choice<const T extends readonly string[]>(words: T, describe: string): ValueKind<T[number]> {
  return {
    read: (given) => words.find((word) => word === given),
    expected: `one of ${words.join(', ')}`,
    describe,
  };
}

function whole(from: number, to: number, describe: string): ValueKind<number> {
  const read = (given: unknown): number | undefined => {
    const number = typeof given === 'string' && /^\d+$/.test(given) ? Number(given) : given;
    return Number.isInteger(number) && Number(number) >= from && Number(number) <= to
      ? Number(number)
      : undefined;
  };
  return { read, expected: `a whole number from ${from} to ${to}`, describe };
}

function flag(describe: string): ValueKind<boolean> {
  const read = (given: unknown): boolean | undefined => {
    if (given === true || given === 'true') return true;
    return given === false || given === 'false' ? false : undefined;
  };
  return { read, expected: 'true or false', describe };
}

function networks(describe: string): ValueKind<readonly string[]> {
  const read = (given: unknown): readonly string[] | undefined => {
    const list = typeof given === 'string' ? given.split(',').map((part) => part.trim()) : given;
    if (!Array.isArray(list) || !list.every((part) => typeof part === 'string')) return undefined;
    try {
      checkNetworks(list);
      return list;
    } catch {
      return undefined;
    }
  };
  return { read, expected: 'address blocks such as 10.0.0.0/8, with commas between', describe };
}

const quantity = (describe: string): ValueKind<string> =>
  text(QUANTITY, 'a quantity such as 100m or 64Mi', describe);
const replicas = (of: string): ValueKind<number> => whole(1, 100, `Replicas of the ${of}`);

function resourceKinds<P extends string>(at: P, of: string) {
  return {
    [`${at}.requests.cpu`]: quantity(`CPU that the ${of} asks for`),
    [`${at}.requests.memory`]: quantity(`Memory that the ${of} asks for`),
    [`${at}.limits.cpu`]: quantity(`CPU that the ${of} may use at most`),
    [`${at}.limits.memory`]: quantity(`Memory that the ${of} may use at most`),
  } as Record<`${P}.${'requests' | 'limits'}.${'cpu' | 'memory'}`, ValueKind<string>>;
}

/** Every value of an installation. The type makes it complete. */
export const VALUES: { readonly [P in ValuePath]: ValueKind<ValueOf<P>> } = {
  clusterName: text(
    DNS_LABEL,
    'a DNS label: small letters, digits, hyphens',
    'Id of the cluster; never changes',
  ),
  meshNamespace: text(DNS_LABEL, 'a DNS label: small letters, digits, hyphens', 'Namespace of the mesh'),
  clusterDomain: text(DNS_NAME, 'a DNS name', 'DNS domain of the cluster'),
  trustDomain: text(DNS_NAME, 'a DNS name', 'SPIFFE trust domain, one for all linked clusters'),
  image: text(/^\S+$/, 'an image', 'Image of all parts'),
  imagePullPolicy: choice(['IfNotPresent', 'Always', 'Never'], 'When the image is pulled'),
  proxyMode: choice(
    PROXY_MODES,
    "How traffic reaches the sidecar: connections are redirected, or apps use their proxy variables (an embedded cluster's only way)",
  ),
  defaultInboundPolicy: choice(
    DEFAULT_INBOUND_POLICIES,
    'What sidecars let in where no policy says otherwise',
  ),
  logLevel: choice(LOG_LEVELS, 'Log level of the components'),
  clusterNetworks: networks('Address blocks that the `cluster-*` policies mean'),
  adoptLinkerd: flag("Heed Linkerd's inject annotations although a Linkerd control plane is in the cluster"),
  highAvailability: flag(
    'Three replicas on different nodes, disruption budgets, and no pod without its sidecar',
  ),
  podAntiAffinity: choice(ANTI_AFFINITIES, 'Whether replicas of a component may share a node'),
  priorityClassName: text(DNS_NAME, 'the name of a PriorityClass', "PriorityClass of the components' pods"),
  'controlPlane.replicas': replicas('control plane'),
  ...resourceKinds('controlPlane.resources', 'control plane'),
  'mirrorController.replicas': replicas('mirror controller; one works, the others wait'),
  ...resourceKinds('mirrorController.resources', 'mirror controller'),
  'gateway.replicas': replicas('gateway'),
  'gateway.serviceType': choice(GATEWAY_SERVICE_TYPES, "How the gateway's Service is reached from outside"),
  ...resourceKinds('gateway.resources', 'gateway'),
  'proxy.logLevel': choice(LOG_LEVELS, 'Log level of the sidecars'),
  'proxy.accessLog': choice(
    ACCESS_LOG_FORMATS,
    "Access log of sidecars and gateways, in one of Linkerd's formats",
  ),
  'tracing.collector': text(
    /^[\w.-]+:\d{1,5}$/,
    'host:port',
    "Address of a collector's OTLP/HTTP receiver; with it sidecars and gateways send spans",
  ),
  'tracing.collectorIdentity': text(
    /^[a-z0-9-]+\/[a-z0-9][a-z0-9.-]*$/,
    'namespace/serviceaccount',
    'Who the collector has to prove to be, by mutual TLS of the mesh; without it spans go in plaintext',
  ),
  'tracing.sampling': text(
    /^(0(\.\d{1,9})?|1(\.0{1,9})?)$/,
    'a number from 0 to 1',
    'Share of the requests without trace context that begin a trace',
  ),
  ...resourceKinds('proxy.resources', 'sidecar'),
  'webhook.failurePolicy': choice(
    FAILURE_POLICIES,
    'What happens to a new pod while the injector does not answer',
  ),
  'webhook.timeoutSeconds': whole(
    1,
    MAX_WEBHOOK_SECONDS,
    'Longest that the API server waits for the injector',
  ),
};

/** Whether a value of that name exists. */
export function isValuePath(path: string): path is ValuePath {
  return Object.hasOwn(VALUES, path);
}
