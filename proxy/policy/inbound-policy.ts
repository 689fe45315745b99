import type { Authn, Authz, Network, ProxyProtocol, Server } from '../../api/proto/gen/linkerd/inbound_pb.js';
import type { DefaultPolicy } from '../config.ts';
import { addressText } from '../control/address.ts';
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

/** The rules of one port. Immutable: a change makes a new one. */
export interface PortPolicy {
  /** The port's bytes are not looked at. */
  readonly opaque: boolean;
  decide(subject: Subject): Verdict;
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
  };
  return new Rules([{ labels, matches: matches[policy] }], labels, opaque);
}

/** Compiles what the policy API said. */
export function compilePortPolicy(server: Server): PortPolicy {
  const rules = server.authorizations.map((authz): Rule => ({
    labels: { ...server.labels, ...authz.labels },
    matches: compileAuthz(authz),
  }));
  return new Rules(rules, server.labels, isOpaque(server.protocol));
}

class Rules implements PortPolicy {
  readonly opaque: boolean;
  readonly #rules: readonly Rule[];
  readonly #denied: Verdict;

  constructor(rules: readonly Rule[], serverLabels: Readonly<Record<string, string>>, opaque: boolean) {
    this.opaque = opaque;
    this.#rules = rules;
    this.#denied = { allowed: false, labels: serverLabels };
  }

  decide(subject: Subject): Verdict {
    const rule = this.#rules.find((one) => one.matches(subject));
    return rule === undefined ? this.#denied : { allowed: true, labels: rule.labels };
  }
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
