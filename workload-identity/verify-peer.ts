import type { TLSSocket } from 'node:tls';
import type { X509Certificate } from 'node:crypto';
import { issuerDnsName, parseSpiffeId, type SpiffeWorkload } from '../api/names.ts';
import {
  type Chain,
  findChain,
  MAX_PRESENTED,
  type ParsedCertificate,
  parseCertificate,
} from './verify-chain.ts';
import { oids } from './x509-names.ts';
import { type ExpectedPeer, type PeerIdentity, type TrustSnapshot, VerifyError } from './types.ts';

/** Leaves remembered as good: more peers than one process meets within a leaf's life, at about 1 KiB each. */
const CACHE_ENTRIES = 4_096;
/** SPIFFE-ID.md 2.3. */
const MAX_SPIFFE_ID_BYTES = 2_048;

const EXTENDED_USAGES = [oids.serverAuth, oids.clientAuth];

interface Remembered {
  identity: PeerIdentity;
  notBefore: number;
}

/**
 * Judges peers' certificates: a path to a current anchor, the rules for an X509-SVID, and the rule of this mesh that the cluster in the SPIFFE path is the one
 * that the leaf's issuer is certified for. Good leaves are remembered until the anchors change; time is looked at each time.
 */
export class PeerVerifier {
  readonly #trustDomain: string;
  readonly #trust: () => TrustSnapshot | undefined;
  readonly #now: () => number;
  readonly #cacheEntries: number;
  readonly #cache = new Map<string, Remembered>();
  #cacheVersion = 0;
  #anchors: ParsedCertificate[] = [];

  /** @param options `cacheEntries`: leaves remembered at most; default 4,096 */
  constructor(options: {
    trustDomain: string;
    trust: () => TrustSnapshot | undefined;
    now: () => number;
    cacheEntries?: number;
  }) {
    this.#trustDomain = options.trustDomain;
    this.#trust = options.trust;
    this.#now = options.now;
    this.#cacheEntries = options.cacheEntries ?? CACHE_ENTRIES;
  }

  /** The peer of a finished handshake. */
  verifySocket(socket: TLSSocket): PeerIdentity | VerifyError {
    if (socket.isSessionReused()) {
      return new VerifyError(
        'resumed-session',
        'the TLS session was resumed: it could outlive its trust anchor',
      );
    }
    const leaf = socket.getPeerX509Certificate();
    if (leaf === undefined) return new VerifyError('no-certificate', 'the peer showed no certificate');
    return this.verify(leaf, () => presentedWith(leaf));
  }

  /** A leaf with whatever came beside it, in any order. */
  verify(
    leaf: X509Certificate,
    presented: () => readonly (X509Certificate | Uint8Array)[],
  ): PeerIdentity | VerifyError {
    const trust = this.#trust();
    if (trust === undefined) return new VerifyError('not-ready', 'there are no trust anchors yet');
    this.#forgetOnChange(trust);
    const now = this.#now();
    const fingerprint = leaf.fingerprint256.replaceAll(':', '').toLowerCase();
    const known = this.#cache.get(fingerprint);
    if (known !== undefined && now >= known.notBefore && now <= known.identity.notAfter)
      return known.identity;

    try {
      return this.#judge(parseCertificate(leaf), presented().map(parseCertificate), now, fingerprint);
    } catch (error) {
      return new VerifyError('malformed', `a certificate cannot be read: ${(error as Error).message}`);
    }
  }

  #judge(
    leaf: ParsedCertificate,
    presented: readonly ParsedCertificate[],
    now: number,
    fingerprint: string,
  ): PeerIdentity | VerifyError {
    const chain = findChain(leaf, presented, this.#anchors, now);
    if (chain instanceof VerifyError) return chain;
    const names = judgeLeaf(leaf, chain[0], this.#trustDomain);
    if (names instanceof VerifyError) return names;
    const all = [leaf, ...chain];
    const identity: PeerIdentity = {
      ...names,
      fingerprint,
      notAfter: Math.min(...all.map((certificate) => certificate.facts.notAfter)),
    };
    this.#remember(fingerprint, {
      identity,
      notBefore: Math.max(...all.map((certificate) => certificate.facts.notBefore)),
    });
    return identity;
  }

  #forgetOnChange(trust: TrustSnapshot): void {
    if (trust.version === this.#cacheVersion) return;
    this.#cacheVersion = trust.version;
    this.#cache.clear();
    this.#anchors = trust.anchors.map(parseCertificate);
  }

  #remember(fingerprint: string, entry: Remembered): void {
    if (this.#cache.size >= this.#cacheEntries) {
      const oldest = this.#cache.keys().next();
      if (oldest.done !== true) this.#cache.delete(oldest.value);
    }
    this.#cache.set(fingerprint, entry);
  }
}

/** Whatever Node kept of what the peer sent beside its leaf. Its order, and whether it holds the leaf again, differ between the two sides of a connection. */
function presentedWith(leaf: X509Certificate): X509Certificate[] {
  const found: X509Certificate[] = [];
  let next = leaf.issuerCertificate;
  while (next !== undefined && found.length < MAX_PRESENTED) {
    found.push(next);
    next = next.issuerCertificate;
  }
  return found;
}

type Names = Pick<PeerIdentity, 'dnsName' | 'spiffeId' | 'workload'>;

/** What the leaf itself must be and say (SPIFFE X509-SVID.md 2 to 4; ARCHITECTURE.md 2). */
function judgeLeaf(leaf: ParsedCertificate, issuer: Chain[0], trustDomain: string): Names | VerifyError {
  const { facts } = leaf;
  if (facts.unknownCritical.length > 0) {
    return new VerifyError(
      'malformed',
      `the leaf has an unknown critical extension: ${facts.unknownCritical.join(', ')}`,
    );
  }
  if (facts.ca) return new VerifyError('leaf-is-ca', 'a CA certificate is no identity');
  const usageError = judgeUsage(facts);
  if (usageError !== undefined) return usageError;
  const { dns, uri } = facts.names;
  if (uri.length > 1) return new VerifyError('uri-san-count', 'the leaf has more than one URI name');
  const [dnsName, ...furtherDns] = dns;
  if (dnsName === undefined || furtherDns.length > 0) {
    return new VerifyError('dns-san-count', `the leaf has ${dns.length} DNS names instead of one`);
  }
  const [spiffeId] = uri;
  return spiffeId === undefined
    ? judgeWithoutSpiffe(dnsName, issuer, trustDomain)
    : judgeSpiffe(dnsName, spiffeId, issuer, trustDomain);
}

function judgeUsage(facts: ParsedCertificate['facts']): VerifyError | undefined {
  const usage = facts.keyUsage;
  if (usage !== undefined && (!usage.digitalSignature || usage.keyCertSign || usage.cRLSign)) {
    return new VerifyError('key-usage', 'the key usage of the leaf is not that of a workload');
  }
  if (usage === undefined && facts.names.uri.length > 0) {
    return new VerifyError('key-usage', 'a leaf with a SPIFFE ID must have a key usage');
  }
  const extended = facts.extendedKeyUsage;
  if (extended !== undefined && !EXTENDED_USAGES.every((usageId) => extended.includes(usageId))) {
    return new VerifyError('key-usage', 'the leaf is not for both TLS client and server');
  }
  return undefined;
}

/** Only issuers that are not bound to a cluster, Linkerd's, may leave the SPIFFE ID out: else one of ours could speak as another cluster's workload. */
function judgeWithoutSpiffe(dnsName: string, issuer: Chain[0], trustDomain: string): Names | VerifyError {
  const cluster = clusterNames(issuer, trustDomain);
  if (cluster.length > 0) {
    return new VerifyError(
      'uri-san-count',
      `the leaf has no SPIFFE ID, though its issuer is that of ${cluster.join(', ')}`,
    );
  }
  return { dnsName, spiffeId: undefined, workload: undefined };
}

function judgeSpiffe(
  dnsName: string,
  spiffeId: string,
  issuer: Chain[0],
  trustDomain: string,
): Names | VerifyError {
  const workload = spiffeId.length > MAX_SPIFFE_ID_BYTES ? undefined : parseSpiffeId(spiffeId);
  if (workload === undefined) {
    return new VerifyError('bad-spiffe-id', 'the URI name is not the SPIFFE ID of a workload of this mesh');
  }
  if (workload.trustDomain !== trustDomain) {
    return new VerifyError(
      'trust-domain',
      `the peer is of trust domain ${workload.trustDomain}, this mesh is ${trustDomain}`,
    );
  }
  const wanted = issuerDnsName(workload.clusterId, trustDomain);
  const certified = clusterNames(issuer, trustDomain);
  if (certified.length !== 1 || certified[0] !== wanted) {
    return new VerifyError(
      'issuer-cluster',
      `the leaf says cluster ${workload.clusterId}, but its issuer is certified for ${certified.join(', ') || 'no cluster'}`,
    );
  }
  if (!namesAgree(dnsName, workload)) {
    return new VerifyError('names-disagree', `${dnsName} and ${spiffeId} name different workloads`);
  }
  return { dnsName, spiffeId, workload };
}

/** The issuer's names of the form that binds it to a cluster. */
function clusterNames(issuer: Chain[0], trustDomain: string): string[] {
  const suffix = issuerDnsName('', trustDomain);
  return issuer.facts.names.dns.filter((name) => name.endsWith(suffix));
}

function namesAgree(dnsName: string, workload: SpiffeWorkload): boolean {
  return dnsName.startsWith(`${workload.serviceAccount}.${workload.namespace}.serviceaccount.identity.`);
}

/** Whether a verified peer is the one that was wanted. */
export function matchExpected(identity: PeerIdentity, expect: ExpectedPeer): VerifyError | undefined {
  if (expect.spiffeId !== undefined && identity.spiffeId !== expect.spiffeId) {
    return new VerifyError(
      'unexpected-identity',
      `expected ${expect.spiffeId}, met ${identity.spiffeId ?? identity.dnsName}`,
    );
  }
  if (expect.dnsName !== undefined && identity.dnsName !== expect.dnsName) {
    return new VerifyError('unexpected-identity', `expected ${expect.dnsName}, met ${identity.dnsName}`);
  }
  return undefined;
}
