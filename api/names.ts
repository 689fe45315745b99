/** Names, labels, annotations and ports that more than one part relies on (ARCHITECTURE.md 2 and 3). */

/** API group of the kinds that Isthmus owns. */
export const GROUP = 'isthmus.dev';
/** The group and version of our own kinds. */
export const GROUP_VERSION = 'isthmus.dev/v1alpha1';

/** Version of this build; also the image tag. */
export const VERSION = '0.1.0';

/** Where the mesh's own parts run, unless an installation says otherwise. */
export const DEFAULT_MESH_NAMESPACE = 'isthmus';
/** Kubernetes' own default. */
export const DEFAULT_CLUSTER_DOMAIN = 'cluster.local';
/** All clusters of one mesh have the same; it stands in every identity. */
export const DEFAULT_TRUST_DOMAIN = 'cluster.local';

/** Field manager and event source of everything that `isthmus` applies. */
export const FIELD_MANAGER = 'isthmus';

/** The one image of all parts. */
export const IMAGE = `isthmus.dev/isthmus:${VERSION}`;
/** The image of the example application. */
export const EXAMPLE_IMAGE = `isthmus.dev/example:${VERSION}`;

/** KEP-2149: the property that holds a cluster's id, and the one that says it is a member of a set. */
export const CLUSTER_ID_PROPERTY = 'cluster.clusterset.k8s.io';
export const CLUSTER_SET_PROPERTY = 'clusterset.k8s.io';

/** Ports, by what is served there: those of proxies are Linkerd's, so that its users find them. */
export const port = {
  outbound: 4140,
  inbound: 4143,
  tap: 4190,
  admin: 4191,
  identity: 8080,
  destination: 8086,
  policy: 8090,
  injector: 8443,
  controlPlaneAdmin: 9990,
  mirrorControllerAdmin: 9991,
} as const;

/** A proxy's own ports: nobody may reach them through a proxy. */
export const PROXY_PORTS: ReadonlySet<number> = new Set([port.outbound, port.inbound, port.tap, port.admin]);

/** ALPN protocol ids between proxies, in the order in which we prefer them. */
export const alpn = { isthmus: 'isthmus/1', linkerd: 'transport.l5d.io/v1' } as const;

/** Pseudo-headers of `isthmus/1` (ARCHITECTURE.md 4). */
export const pseudoHeader = {
  port: ':isthmus-port',
  target: ':isthmus-target',
  client: ':isthmus-client',
  protocol: ':isthmus-protocol',
  timeout: ':isthmus-timeout',
} as const;

/** Names of the components: of their Deployments, Services and ServiceAccounts. */
export const component = {
  controlPlane: 'isthmus-control-plane',
  identity: 'isthmus-identity',
  destination: 'isthmus-destination',
  policy: 'isthmus-policy',
  injector: 'isthmus-injector',
  mirrorController: 'isthmus-mirror-controller',
  gateway: 'isthmus-gateway',
  proxy: 'isthmus-proxy',
  /** The init container that redirects a pod's connections to its sidecar. */
  redirect: 'isthmus-init',
} as const;

/** User id of the sidecar, as Linkerd's: its own connections are told from the app's by it. Any id that no app is likely to have. */
export const PROXY_UID = 2102;

/** Names of other objects that an installation has, and of keys in them. */
export const object = {
  trustRootsConfigMap: 'isthmus-identity-trust-roots',
  trustRootsKey: 'ca-bundle.crt',
  issuerSecret: 'isthmus-identity-issuer',
  configMap: 'isthmus-config',
  configKey: 'values',
  /** What was asked for at the install, apart from what were defaults. */
  askedKey: 'asked',
  injectorTlsSecret: 'isthmus-injector-tls',
  injectorWebhook: 'isthmus-injector',
  trustBundle: 'isthmus',
  /** Who of the mirror controller's replicas works. */
  mirrorLease: 'isthmus-mirror-controller',
  /** Who of the control plane's replicas tells what becomes of policies. */
  policyLease: 'isthmus-policy-status',
  /** Who of the control plane's replicas tells of pods without sidecar. */
  reportLease: 'isthmus-injector-report',
} as const;

/** Linkerd's own webhook: where it stands, a Linkerd control plane runs, and its annotations are its business. */
export const LINKERD_WEBHOOK = 'linkerd-proxy-injector-webhook-config';

/** Port name of the gateway's Service, as Linkerd names it. */
export const GATEWAY_PORT_NAME = 'mc-gateway';

/** Audience of the projected ServiceAccount token that Certify takes; Linkerd's. */
export const IDENTITY_TOKEN_AUDIENCE = 'identity.l5d.io';
/** Seconds; Linkerd's. */
export const IDENTITY_TOKEN_SECONDS = 86_400;

/** Where things are mounted in containers. */
export const path = {
  identityTokenDir: '/var/run/secrets/tokens',
  identityToken: '/var/run/secrets/tokens/isthmus-identity-token',
  trustRootsDir: '/var/run/isthmus/trust-roots',
  trustRoots: '/var/run/isthmus/trust-roots/ca-bundle.crt',
  serviceAccount: '/var/run/secrets/kubernetes.io/serviceaccount',
  /** The image's program: its first argument names the part to run as. */
  entrypoint: '/isthmus/entrypoint.js',
} as const;

/** Environment that every part shares. */
export const env = {
  clusterName: 'ISTHMUS_CLUSTER_NAME',
  meshNamespace: 'ISTHMUS_NAMESPACE',
  clusterDomain: 'ISTHMUS_CLUSTER_DOMAIN',
  trustDomain: 'ISTHMUS_TRUST_DOMAIN',
  dnsServer: 'ISTHMUS_DNS_SERVER',
  identityAddress: 'ISTHMUS_IDENTITY_ADDR',
  destinationAddress: 'ISTHMUS_DESTINATION_ADDR',
  policyAddress: 'ISTHMUS_POLICY_ADDR',
  trustAnchorsFile: 'ISTHMUS_TRUST_ANCHORS_FILE',
  identityTokenFile: 'ISTHMUS_IDENTITY_TOKEN_FILE',
  logLevel: 'ISTHMUS_LOG_LEVEL',
  podName: 'POD_NAME',
  podNamespace: 'POD_NAMESPACE',
  podIp: 'POD_IP',
  serviceAccount: 'SERVICE_ACCOUNT',
  nodeName: 'NODE_NAME',
  /** Set while the image is made: the process keeps what V8 compiles, and leaves V8's flags as they are, by which V8 knows it again. */
  keepCompiled: 'ISTHMUS_KEEP_COMPILED',
} as const;

/** Environment of the proxy alone; the injector writes it. */
export const proxyEnv = {
  /** `explicit` (absolute-form requests and CONNECT, embedded cluster) or `redirect`. */
  mode: 'ISTHMUS_PROXY_MODE',
  /** One of Linkerd's default policies, `audit` among them; used until the policy API answers. */
  defaultInboundPolicy: 'ISTHMUS_PROXY_DEFAULT_INBOUND_POLICY',
  /** Comma list of CIDRs that the `cluster-*` policies mean. */
  clusterNetworks: 'ISTHMUS_PROXY_CLUSTER_NETWORKS',
  /** Comma list of ports and ranges (`25,587,3306-3310`) of this pod that are opaque. */
  opaquePorts: 'ISTHMUS_PROXY_OPAQUE_PORTS',
  /** Comma list of the ports that the pod's containers declare: their policies are asked for at the start. */
  inboundPorts: 'ISTHMUS_PROXY_INBOUND_PORTS',
  /** What the kubelet asks the pod's apps for by HTTP, apart by blanks, each a port and a path: `8080/healthz 8080/ready`. */
  inboundProbes: 'ISTHMUS_PROXY_INBOUND_PROBES',
  /** Seconds that requests in flight get after SIGTERM. */
  shutdownGraceSeconds: 'ISTHMUS_PROXY_SHUTDOWN_GRACE_SECONDS',
  /** Ports of this sidecar where it does not use those of every other. */
  inboundPort: 'ISTHMUS_PROXY_INBOUND_PORT',
  outboundPort: 'ISTHMUS_PROXY_OUTBOUND_PORT',
  adminPort: 'ISTHMUS_PROXY_ADMIN_PORT',
  /** `true`: HTTP requests go to the Service that `l5d-dst-override` names. */
  ingress: 'ISTHMUS_PROXY_INGRESS',
  /** `true`: `POST /shutdown` at the admin port ends the sidecar. */
  adminShutdown: 'ISTHMUS_PROXY_ADMIN_SHUTDOWN',
  /** Milliseconds for a connection to the app, and to a peer. */
  inboundConnectMs: 'ISTHMUS_PROXY_INBOUND_CONNECT_TIMEOUT_MS',
  outboundConnectMs: 'ISTHMUS_PROXY_OUTBOUND_CONNECT_TIMEOUT_MS',
  /** Milliseconds for a client's first bytes; 0: without end. */
  inboundDetectMs: 'ISTHMUS_PROXY_INBOUND_DETECT_TIMEOUT_MS',
  outboundDetectMs: 'ISTHMUS_PROXY_OUTBOUND_DETECT_TIMEOUT_MS',
} as const;

/** Environment of sidecars and gateways: what they tell of single requests. The control plane has it too, and passes it on to sidecars. */
export const telemetryEnv = {
  /** Format of the access log: `json` or `apache`; absent: there is none. */
  accessLog: 'ISTHMUS_ACCESS_LOG',
  /** Where it goes: `stderr` (default), `stdout` or a file. */
  accessLogFile: 'ISTHMUS_ACCESS_LOG_FILE',
  /** `host:port` of a collector's OTLP/HTTP receiver; absent: no spans are made. */
  traceCollector: 'ISTHMUS_TRACE_COLLECTOR',
  /** `namespace/serviceaccount` that the collector has to prove by mutual TLS; absent: spans go in plaintext. */
  traceCollectorIdentity: 'ISTHMUS_TRACE_COLLECTOR_IDENTITY',
  /** Share of the requests without trace context that begin a trace, from 0 to 1. */
  traceSampling: 'ISTHMUS_TRACE_SAMPLING',
  /** `service.name` of the spans; by default the ServiceAccount. */
  traceServiceName: 'ISTHMUS_TRACE_SERVICE_NAME',
} as const;

/** Environment of the control plane alone: values of the install that it works by, and those that it passes on to sidecars. */
export const controlPlaneEnv = {
  defaultInboundPolicy: 'ISTHMUS_DEFAULT_INBOUND_POLICY',
  opaquePorts: 'ISTHMUS_OPAQUE_PORTS',
  clusterNetworks: 'ISTHMUS_CLUSTER_NETWORKS',
  adoptLinkerd: 'ISTHMUS_ADOPT_LINKERD',
  proxyImage: 'ISTHMUS_PROXY_IMAGE',
  proxyImagePullPolicy: 'ISTHMUS_PROXY_IMAGE_PULL_POLICY',
  proxyLogLevel: 'ISTHMUS_PROXY_LOG_LEVEL',
  proxyCpuRequest: 'ISTHMUS_PROXY_CPU_REQUEST',
  proxyCpuLimit: 'ISTHMUS_PROXY_CPU_LIMIT',
  proxyMemoryRequest: 'ISTHMUS_PROXY_MEMORY_REQUEST',
  proxyMemoryLimit: 'ISTHMUS_PROXY_MEMORY_LIMIT',
} as const;

/** Environment of the init container that redirects; the injector writes it. */
export const redirectEnv = {
  /** User id whose connections are left alone. */
  proxyUid: 'ISTHMUS_REDIRECT_PROXY_UID',
  /** Comma lists of ports and ranges that are left alone. */
  skipInboundPorts: 'ISTHMUS_REDIRECT_SKIP_INBOUND_PORTS',
  skipOutboundPorts: 'ISTHMUS_REDIRECT_SKIP_OUTBOUND_PORTS',
  /** Comma list of CIDRs: connections to these are left alone. */
  skipSubnets: 'ISTHMUS_REDIRECT_SKIP_SUBNETS',
  /** The sidecar's ports. */
  inboundPort: 'ISTHMUS_REDIRECT_INBOUND_PORT',
  outboundPort: 'ISTHMUS_REDIRECT_OUTBOUND_PORT',
  adminPort: 'ISTHMUS_REDIRECT_ADMIN_PORT',
} as const;

/** Labels that are read or written; those of `mirror.linkerd.io` are Linkerd's. */
export const label = {
  controlPlaneNs: 'isthmus.dev/control-plane-ns',
  proxyWorkload: 'isthmus.dev/workload-ns',
  /** Excludes a namespace from the admission webhook. */
  disableInjection: 'config.isthmus.dev/admission-webhooks',
  managedBy: 'app.kubernetes.io/managed-by',
  partOf: 'app.kubernetes.io/part-of',
  /** On every object that an installation made, with the mesh's namespace: what a later version no longer has is found by it. */
  installation: 'isthmus.dev/installation',
  component: 'isthmus.dev/component',
  exported: 'mirror.linkerd.io/exported',
  mirroredService: 'mirror.linkerd.io/mirrored-service',
  mirrorCluster: 'mirror.linkerd.io/cluster-name',
  mirroredGateway: 'mirror.linkerd.io/mirrored-gateway',
  zone: 'topology.kubernetes.io/zone',
  sliceServiceName: 'kubernetes.io/service-name',
  sliceManagedBy: 'endpointslice.kubernetes.io/managed-by',
} as const;

/** On every object that a part of ours makes and nobody else shares: what an uninstall removes is found by them. */
export const ownLabels = { [label.managedBy]: 'isthmus', [label.partOf]: 'isthmus' } as const;

/** Annotations that are read or written. */
export const annotation = {
  inject: 'isthmus.dev/inject',
  linkerdInject: 'linkerd.io/inject',
  proxyVersion: 'isthmus.dev/proxy-version',
  injectedBy: 'isthmus.dev/created-by',
  /** The container that `kubectl logs` and `kubectl exec` mean unless told otherwise. */
  defaultContainer: 'kubectl.kubernetes.io/default-container',
  remoteFqName: 'mirror.linkerd.io/remote-svc-fq-name',
  /** On the gateway's Service: addresses of the nodes that it runs on, comma list, while no load balancer gives it one. */
  gatewayNodes: 'isthmus.dev/gateway-nodes',
  remoteGatewayIdentity: 'mirror.linkerd.io/remote-gateway-identity',
  remoteResourceVersion: 'mirror.linkerd.io/remote-resource-version',
  opaquePorts: 'config.linkerd.io/opaque-ports',
  isthmusOpaquePorts: 'config.isthmus.dev/opaque-ports',
  defaultInboundPolicy: 'config.linkerd.io/default-inbound-policy',
  isthmusDefaultInboundPolicy: 'config.isthmus.dev/default-inbound-policy',
} as const;

/** Ports that are opaque unless told otherwise: protocols where the server speaks first (Linkerd's list). */
export const DEFAULT_OPAQUE_PORTS: readonly number[] = [25, 587, 3306, 4444, 5432, 6379, 9300, 11211];

/** A name that Kubernetes takes as a label value or a Service name: RFC 1035 label, at most 63 characters. */
export const MAX_SERVICE_NAME_LENGTH = 63;

/** Name of the mirror in this cluster of `service` in cluster `clusterId`. May pass 63 characters: the caller checks. */
export function mirrorServiceName(service: string, clusterId: string): string {
  return `${service}-${clusterId}`;
}

/** DNS identity of a workload, as Linkerd forms it. */
export function dnsIdentity(w: {
  serviceAccount: string;
  namespace: string;
  meshNamespace: string;
  trustDomain: string;
}): string {
  return `${w.serviceAccount}.${w.namespace}.serviceaccount.identity.${w.meshNamespace}.${w.trustDomain}`;
}

/** SPIFFE ID of a workload: the cluster id stands in its path. */
export function spiffeId(w: {
  trustDomain: string;
  clusterId: string;
  namespace: string;
  serviceAccount: string;
}): string {
  return `spiffe://${w.trustDomain}/cluster/${w.clusterId}/ns/${w.namespace}/sa/${w.serviceAccount}`;
}

const SPIFFE_WORKLOAD =
  /^spiffe:\/\/([a-z0-9._-]{1,255})\/cluster\/([a-z0-9]([a-z0-9.-]*[a-z0-9])?)\/ns\/([a-z0-9-]+)\/sa\/([a-z0-9.-]+)$/;

/** The parts of a workload's SPIFFE ID. */
export interface SpiffeWorkload {
  trustDomain: string;
  clusterId: string;
  namespace: string;
  serviceAccount: string;
}

/** Takes a workload's SPIFFE ID apart; undefined when it is not one of ours. */
export function parseSpiffeId(id: string): SpiffeWorkload | undefined {
  const m = SPIFFE_WORKLOAD.exec(id);
  if (m === null) return undefined;
  const [, trustDomain = '', clusterId = '', , namespace = '', serviceAccount = ''] = m;
  return { trustDomain, clusterId, namespace, serviceAccount };
}

/** DNS SAN of an issuer's certificate: carries the cluster id, signed by the trust anchor. */
export function issuerDnsName(clusterId: string, trustDomain: string): string {
  return `${clusterId}.cluster.identity.${trustDomain}`;
}
