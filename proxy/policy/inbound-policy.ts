import type { DefaultInboundPolicy } from '../../api/default-policies.ts';
import type {
  Authn,
  Authz,
  GrpcRoute,
  HttpRoute,
  Network,
  ProxyProtocol,
  Server,
} from '../../api/proto/gen/linkerd/inbound_pb.js';
import type { Metadata } from '../../api/proto/gen/linkerd/meta_pb.js';
import { addressText } from '../control/address.ts';
import type { Head } from '../message/head.ts';
import {
  compileGrpcMatch,
  compileHttpMatch,
  requestFor,
  RouteTable,
  type RouteSource,
} from '../route/compile-match.ts';
import { compileFilters, prefixOf, type RouteFilters } from '../route/filters.ts';
import { nameOf } from '../route/told-values.ts';
import { type AddressBlock, parseBlock } from './address-block.ts';
import { compileIdentities } from './identity-match.ts';
import { RateLimiter } from './rate-limiter.ts';

/** Who asks, as policies see it. */
export interface Subject {
  /** Address of the connection's other end. */
  readonly address: string;
  /** The connection is mutual TLS of the mesh. */
  readonly authenticated: boolean;
  /**
   * Name that policies by identity are matched with: the DNS identity of a workload of the own cluster, the SPIFFE ID of one of another (so a policy that names
   * workloads means those of its own cluster). Empty without identity.
   */
  readonly identity: string;
  /** For policies that name clusters. Empty without one. */
  readonly spiffeId: string;
}

/** The answer to a subject, with the labels that metrics show. */
export interface Verdict {
  readonly allowed: boolean;
  /** False: there are routes, and none is for the request. */
  readonly routed?: false;
  readonly labels: Readonly<Record<string, string>>;
}

/** Rules that decide over a client. Immutable. */
export interface Decider {
  /** What becomes of requests that are let pass. */
  readonly filters: RouteFilters | undefined;
  decide(subject: Subject): Verdict;
}

/** The rules of one port. Immutable: a change makes a new one. */
export interface PortPolicy extends Decider {
  /** `srv_…` of metrics. */
  readonly labels: Readonly<Record<string, string>>;
  /** The port's bytes are not looked at. */
  readonly opaque: boolean;
  /** How many of the requests that are let pass are taken. */
  readonly limiter: RateLimiter | undefined;
  /**
   * The rules for a request: the same object for requests of the same route, so that a verdict can be kept. Where there
   * are routes, a request that none is for is answered as one for something that is not there.
   */
  rulesFor(head: Head): Decider;
  /** The kubelet's probes among its requests are known here, and this is one. */
  isProbe(head: Head): boolean;
}

/** What a sidecar was told of its own port when its pod was made. */
export interface OwnPort {
  readonly opaque: boolean;
  /** Paths that the kubelet asks for. */
  readonly probes: readonly string[];
}

interface Rule {
  readonly labels: Readonly<Record<string, string>>;
  matches(subject: Subject): boolean;
}

/** The rules that hold for a port until the policy API has answered. */
export function defaultPortPolicy(
  policy: DefaultInboundPolicy,
  clusterNetworks: readonly AddressBlock[],
  { opaque, probes }: OwnPort,
): PortPolicy {
  const labels = {
    srv_group: '',
    srv_kind: 'default',
    srv_name: policy,
    authz_group: '',
    authz_kind: 'default',
    authz_name: policy,
  };
  const inCluster = (subject: Subject): boolean =>
    clusterNetworks.some((block) => block.contains(subject.address));
  const matches: Record<DefaultInboundPolicy, (subject: Subject) => boolean> = {
    'all-unauthenticated': () => true,
    'all-authenticated': (subject) => subject.authenticated,
    'cluster-unauthenticated': inCluster,
    'cluster-authenticated': (subject) => subject.authenticated && inCluster(subject),
    deny: () => false,
    // Lets everybody pass, and metrics show that it was this which did.
    audit: () => true,
  };
  const rules = new Rules([{ labels, matches: matches[policy] }], labels);
  return new Policy(rules, withProbes(rules, probes), opaque, undefined);
}

/**
 * Compiles what the policy API said. Routes have the server's authorizations beside their own, as with Linkerd. A route
 * that cannot be compiled (a bad expression) is left out, so it opens nothing.
 * @param before what held for the port until now: what clients have used up of its rate limits counts on
 * @param probes paths of the port that the kubelet asks for. A default that closes the port and names no probes was
 * told of a pod that the control plane does not see yet: these stay open
 */
export function compilePortPolicy(
  server: Server,
  before?: PortPolicy,
  probes: readonly string[] = [],
): PortPolicy {
  const labels = prefixed('srv', server.labels);
  const base = { labels, authorizations: server.authorizations };
  const rules = new Rules(compileRules(labels, server.authorizations), labels);
  const sources = routesOf(server.protocol, base);
  const limiter = limiterOf(server.protocol, before?.limiter);
  const unseen =
    server.labels['kind'] === 'default' && server.authorizations.length === 0 && sources.length === 0;
  const routes: Routes = unseen
    ? withProbes(rules, probes)
    : { table: sources.length === 0 ? undefined : new RouteTable(sources), probe: undefined };
  return new Policy(rules, routes, isOpaque(server.protocol), limiter);
}

/** Rules by request. */
interface Routes {
  /** Undefined: all requests have the same. */
  readonly table: RouteTable<Rules> | undefined;
  /** Of the kubelet's probes, where they are known here. */
  readonly probe: Rules | undefined;
}

/**
 * Anybody may ask for what the kubelet asks for, which has no identity: by its method, and for these paths alone.
 * Labels are those that the control plane gives.
 */
function withProbes(rules: Rules, paths: readonly string[]): Routes {
  if (paths.length === 0) return { table: undefined, probe: undefined };
  const labels = {
    ...rules.labels,
    ...prefixed('route', PROBE_LABELS),
    ...prefixed('authz', PROBE_LABELS),
  };
  const probe = new Rules([{ labels, matches: () => true }], labels);
  const matches = paths.map((path) => requestFor('GET', path));
  const sources = [
    {
      hosts: [],
      rules: [
        { matches, value: probe },
        { matches: [], value: rules },
      ],
    },
  ];
  return { table: new RouteTable<Rules>(sources), probe };
}

const PROBE_LABELS = { group: '', kind: 'default', name: 'probe' };

class Policy implements PortPolicy {
  readonly labels: Readonly<Record<string, string>>;
  readonly opaque: boolean;
  readonly limiter: RateLimiter | undefined;
  readonly filters = undefined;
  readonly #rules: Rules;
  readonly #routes: RouteTable<Rules> | undefined;
  readonly #probe: Rules | undefined;
  readonly #nowhere: Nowhere;

  constructor(rules: Rules, { table, probe }: Routes, opaque: boolean, limiter: RateLimiter | undefined) {
    this.labels = rules.labels;
    this.#rules = rules;
    this.#routes = table;
    this.#probe = probe;
    this.#nowhere = new Nowhere(rules.labels);
    this.opaque = opaque;
    this.limiter = limiter;
  }

  decide(subject: Subject): Verdict {
    return this.#rules.decide(subject);
  }

  rulesFor(head: Head): Decider {
    return this.#routes === undefined ? this.#rules : (this.#routes.find(head) ?? this.#nowhere);
  }

  isProbe(head: Head): boolean {
    return this.#probe !== undefined && this.rulesFor(head) === this.#probe;
  }
}

class Rules implements Decider {
  readonly labels: Readonly<Record<string, string>>;
  readonly filters: RouteFilters | undefined;
  readonly #rules: readonly Rule[];

  constructor(rules: readonly Rule[], labels: Readonly<Record<string, string>>, filters?: RouteFilters) {
    this.#rules = rules;
    this.labels = labels;
    this.filters = filters;
  }

  decide(subject: Subject): Verdict {
    const rule = this.#rules.find((one) => one.matches(subject));
    return rule === undefined
      ? { allowed: false, labels: this.labels }
      : { allowed: true, labels: rule.labels };
  }
}

/** For requests that no route is for. */
class Nowhere implements Decider {
  readonly filters = undefined;
  readonly #verdict: Verdict;

  constructor(labels: Readonly<Record<string, string>>) {
    this.#verdict = { allowed: false, routed: false, labels };
  }

  decide(): Verdict {
    return this.#verdict;
  }
}

function compileRules(labels: Readonly<Record<string, string>>, authorizations: readonly Authz[]): Rule[] {
  return authorizations.map((authz) => ({
    labels: { ...labels, ...prefixed('authz', authz.labels) },
    matches: compileAuthz(authz),
  }));
}

/** The API's `kind` is `srv_kind`, `authz_kind` in metrics, as Linkerd's. */
function prefixed(prefix: string, labels: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).map(([name, value]) => [`${prefix}_${name}`, value]));
}

/** What the routes of a server have from it. */
interface Base {
  readonly labels: Readonly<Record<string, string>>;
  readonly authorizations: readonly Authz[];
}

function routesOf(protocol: ProxyProtocol | undefined, base: Base): RouteSource<Rules>[] {
  const kind = protocol?.kind;
  if (kind?.case === 'detect') return kind.value.httpRoutes.map((route) => httpSource(route, base));
  if (kind?.case === 'http1' || kind?.case === 'http2')
    return kind.value.routes.map((route) => httpSource(route, base));
  return kind?.case === 'grpc' ? kind.value.routes.map((route) => grpcSource(route, base)) : [];
}

function httpSource(route: HttpRoute, base: Base): RouteSource<Rules> {
  const rulesWith = routeRules(route, base);
  const rules = route.rules.flatMap(({ matches, filters }) =>
    ruleOf(() => matches.map(compileHttpMatch), rulesWith(compileFilters(filters, prefixOf(matches)))),
  );
  return { hosts: route.hosts, rules };
}

function grpcSource(route: GrpcRoute, base: Base): RouteSource<Rules> {
  const rulesWith = routeRules(route, base);
  const rules = route.rules.flatMap(({ matches, filters }) =>
    ruleOf(() => matches.map(compileGrpcMatch), rulesWith(compileFilters(filters, ''))),
  );
  return { hosts: route.hosts, rules };
}

function ruleOf(compile: () => RouteSource<Rules>['rules'][number]['matches'], value: Rules) {
  try {
    return [{ matches: compile(), value }];
  } catch (error) {
    if (error instanceof SyntaxError) return [];
    throw error;
  }
}

/** Rules without filters of their own share one object, so that a verdict over one is a verdict over all. */
function routeRules(
  { metadata, authorizations }: HttpRoute | GrpcRoute,
  base: Base,
): (filters: RouteFilters | undefined) => Rules {
  const labels = { ...base.labels, ...routeLabels(metadata) };
  const rules = compileRules(labels, [...authorizations, ...base.authorizations]);
  const plain = new Rules(rules, labels);
  return (filters) => (filters === undefined ? plain : new Rules(rules, labels, filters));
}

function routeLabels(metadata: Metadata | undefined): Record<string, string> {
  const { group = '', kind = 'default' } = metadata?.kind.case === 'resource' ? metadata.kind.value : {};
  return { route_group: group, route_kind: kind, route_name: nameOf(metadata) };
}

function limiterOf(
  protocol: ProxyProtocol | undefined,
  before: RateLimiter | undefined,
): RateLimiter | undefined {
  const kind = protocol?.kind;
  const told =
    kind?.case === 'detect'
      ? kind.value.httpLocalRateLimit
      : kind?.case === 'http1' || kind?.case === 'http2'
        ? kind.value.localRateLimit
        : undefined;
  return told === undefined ? undefined : new RateLimiter(told, before);
}

function isOpaque(protocol: ProxyProtocol | undefined): boolean {
  return protocol?.kind.case === 'opaque' || protocol?.kind.case === 'tls';
}

function compileAuthz(authz: Authz): (subject: Subject) => boolean {
  const networks = authz.networks.map(compileNetwork);
  const authenticated = compileAuthn(authz.authentication);
  return (subject) =>
    (networks.length === 0 || networks.some((within) => within(subject.address))) && authenticated(subject);
}

function compileNetwork(network: Network): (address: string) => boolean {
  const block = blockOf(network.net);
  const except = network.except.map(blockOf);
  return (address) =>
    block !== undefined && block.contains(address) && !except.some((other) => other?.contains(address));
}

function blockOf(net: Network['net']): AddressBlock | undefined {
  const address = addressText(net?.ip);
  return address === undefined ? undefined : parseBlock(`${address}/${net?.prefixLen ?? 0}`);
}

/** No authentication given: nobody is let in, for a rule that says nothing must not open a door. */
function compileAuthn(authn: Authn | undefined): (subject: Subject) => boolean {
  const permit = authn?.permit;
  if (permit?.case === 'unauthenticated') return () => true;
  if (permit?.case !== 'meshTLS') return () => false;
  const { clients } = permit.value;
  if (clients.case === 'unauthenticated') return (subject) => subject.authenticated;
  if (clients.case !== 'identities') return () => false;
  const matches = compileIdentities(clients.value);
  return (subject) => subject.authenticated && matches(subject);
}
