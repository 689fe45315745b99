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
import type { DefaultPolicy } from '../config.ts';
import { addressText } from '../control/address.ts';
import type { Head } from '../message.ts';
import { compileGrpcMatch, compileHttpMatch, RouteTable, type RouteSource } from '../route/compile-match.ts';
import { nameOf } from '../route/outbound-rules.ts';
import { type AddressBlock, parseBlock } from './address-block.ts';

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
}

/** The answer to a subject, with the labels that metrics show. */
export interface Verdict {
  readonly allowed: boolean;
  readonly labels: Readonly<Record<string, string>>;
}

/** Rules that decide over a client. Immutable. */
export interface Decider {
  decide(subject: Subject): Verdict;
}

/** The rules of one port. Immutable: a change makes a new one. */
export interface PortPolicy extends Decider {
  /** The port's bytes are not looked at. */
  readonly opaque: boolean;
  /**
   * The rules for a request: the same object for requests of the same route, so that a verdict can be kept. Where there are routes, a request that none is for is
   * denied.
   */
  rulesFor(head: Head): Decider;
}

interface Rule {
  readonly labels: Readonly<Record<string, string>>;
  matches(subject: Subject): boolean;
}

/** The rules that hold for a port until the policy API has answered. */
export function defaultPortPolicy(
  policy: DefaultPolicy,
  clusterNetworks: readonly AddressBlock[],
  opaque: boolean,
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
  const matches: Record<DefaultPolicy, (subject: Subject) => boolean> = {
    'all-unauthenticated': () => true,
    'all-authenticated': (subject) => subject.authenticated,
    'cluster-unauthenticated': inCluster,
    'cluster-authenticated': (subject) => subject.authenticated && inCluster(subject),
    deny: () => false,
    // Lets everybody pass, and metrics show that it was this which did.
    audit: () => true,
  };
  return new Policy(new Rules([{ labels, matches: matches[policy] }], labels), undefined, opaque);
}

/** Compiles what the policy API said. A route that cannot be compiled (a bad expression) is left out, so it opens nothing. */
export function compilePortPolicy(server: Server): PortPolicy {
  const labels = prefixed('srv', server.labels);
  const rules = new Rules(compileRules(labels, server.authorizations), labels);
  const sources = routesOf(server.protocol, labels);
  const denied = new Rules([], labels);
  const routes = sources.length === 0 ? undefined : { table: new RouteTable(sources), denied };
  return new Policy(rules, routes, isOpaque(server.protocol));
}

class Policy implements PortPolicy {
  readonly opaque: boolean;
  readonly #rules: Rules;
  readonly #routes: { readonly table: RouteTable<Rules>; readonly denied: Rules } | undefined;

  constructor(
    rules: Rules,
    routes: { readonly table: RouteTable<Rules>; readonly denied: Rules } | undefined,
    opaque: boolean,
  ) {
    this.#rules = rules;
    this.#routes = routes;
    this.opaque = opaque;
  }

  decide(subject: Subject): Verdict {
    return this.#rules.decide(subject);
  }

  rulesFor(head: Head): Decider {
    return this.#routes === undefined ? this.#rules : (this.#routes.table.find(head) ?? this.#routes.denied);
  }
}

class Rules implements Decider {
  readonly #rules: readonly Rule[];
  readonly #denied: Verdict;

  constructor(rules: readonly Rule[], labels: Readonly<Record<string, string>>) {
    this.#rules = rules;
    this.#denied = { allowed: false, labels };
  }

  decide(subject: Subject): Verdict {
    const rule = this.#rules.find((one) => one.matches(subject));
    return rule === undefined ? this.#denied : { allowed: true, labels: rule.labels };
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

function routesOf(
  protocol: ProxyProtocol | undefined,
  labels: Readonly<Record<string, string>>,
): RouteSource<Rules>[] {
  const kind = protocol?.kind;
  if (kind?.case === 'detect') return kind.value.httpRoutes.map((route) => httpSource(route, labels));
  if (kind?.case === 'http1' || kind?.case === 'http2')
    return kind.value.routes.map((route) => httpSource(route, labels));
  return kind?.case === 'grpc' ? kind.value.routes.map((route) => grpcSource(route, labels)) : [];
}

function httpSource(route: HttpRoute, labels: Readonly<Record<string, string>>): RouteSource<Rules> {
  const value = routeRules(route, labels);
  const { hosts, rules } = route;
  return { hosts, rules: rules.flatMap(({ matches }) => ruleOf(() => matches.map(compileHttpMatch), value)) };
}

function grpcSource(route: GrpcRoute, labels: Readonly<Record<string, string>>): RouteSource<Rules> {
  const value = routeRules(route, labels);
  const { hosts, rules } = route;
  return { hosts, rules: rules.flatMap(({ matches }) => ruleOf(() => matches.map(compileGrpcMatch), value)) };
}

function ruleOf(compile: () => RouteSource<Rules>['rules'][number]['matches'], value: Rules) {
  try {
    return [{ matches: compile(), value }];
  } catch (error) {
    if (error instanceof SyntaxError) return [];
    throw error;
  }
}

function routeRules(
  { metadata, authorizations }: HttpRoute | GrpcRoute,
  server: Readonly<Record<string, string>>,
): Rules {
  const labels = { ...server, route_kind: kindOf(metadata), route_name: nameOf(metadata) };
  return new Rules(compileRules(labels, authorizations), labels);
}

function kindOf(metadata: Metadata | undefined): string {
  return metadata?.kind.case === 'resource' ? metadata.kind.value.kind : 'default';
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
  const names = new Set(clients.value.identities.map((identity) => identity.name));
  const suffixes = clients.value.suffixes.map((suffix) => suffix.parts.join('.'));
  return (subject) =>
    subject.authenticated &&
    (names.has(subject.identity) || suffixes.some((suffix) => hasSuffix(subject.identity, suffix)));
}

/** The empty suffix is every identity of the mesh, also of other clusters; any other one means DNS identities below it. */
function hasSuffix(identity: string, suffix: string): boolean {
  if (suffix === '') return true;
  return identity.endsWith(`.${suffix}`) && !identity.startsWith('spiffe://');
}
