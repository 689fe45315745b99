import { constants, type KeyObject, X509Certificate } from 'node:crypto';
import { createSecureContext, type ConnectionOptions, type SecureContext } from 'node:tls';
import type {
  ClientTlsOptions,
  ExpectedPeer,
  LeafCertificate,
  PeerIdentity,
  ServerTlsOptions,
  TrustSnapshot,
} from './types.ts';
import { VerifyError } from './types.ts';
import { matchExpected } from './verify-peer.ts';
import { MAX_PRESENTED } from './verify-chain.ts';

/** AES128-GCM first: the cheapest with AES instructions, and what Linkerd's proxies offer first. */
const CIPHERS = 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256';
/** X25519 first: the cheapest handshake and a ClientHello in one segment; the hybrid for peers that insist. */
const GROUPS = 'X25519:X25519MLKEM768:P-256:P-384';

const COMMON = {
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  ciphers: CIPHERS,
  ecdhCurve: GROUPS,
  honorCipherOrder: true,
  // Together with Node's server, which keeps no session store, this leaves nothing to resume from.
  secureOptions: constants.SSL_OP_NO_TICKET,
} as const;

/** Judges a leaf and what came with it. */
export type Verify = (
  leaf: X509Certificate,
  presented: () => readonly Uint8Array[],
) => PeerIdentity | VerifyError;

/** A context for a process that has no certificate yet: only its first request to the identity service is made with it. */
export function anchorsOnlyContext(trust: TrustSnapshot): SecureContext {
  return createSecureContext({ ...COMMON, ca: trust.anchors.map((anchor) => anchor.toString()) });
}

/** Immutable TLS options made of one certificate and one set of anchors. What is asked for twice is the same object. */
export class TlsSnapshot {
  readonly #context: SecureContext;
  readonly #verify: Verify;
  readonly #servers = new Map<string, ServerTlsOptions>();

  constructor(certificate: LeafCertificate, key: KeyObject, trust: TrustSnapshot, verify: Verify) {
    const chain = [certificate.leaf, ...certificate.intermediates].map((der) =>
      new X509Certificate(der).toString(),
    );
    this.#context = createSecureContext({
      ...COMMON,
      key: key.export({ type: 'pkcs8', format: 'pem' }),
      cert: chain.join(''),
      ca: trust.anchors.map((anchor) => anchor.toString()),
    });
    this.#verify = verify;
  }

  server(alpn: readonly string[] | undefined, required: boolean): ServerTlsOptions {
    const key = `${required} ${alpn?.join(' ') ?? ''}`;
    let options = this.#servers.get(key);
    if (options === undefined) {
      options = {
        secureContext: this.#context,
        isServer: true,
        requestCert: true,
        rejectUnauthorized: required,
        ...(alpn === undefined ? {} : { ALPNProtocols: [...alpn] }),
      };
      this.#servers.set(key, options);
    }
    return options;
  }

  client(alpn: readonly string[] | undefined, expect: ExpectedPeer): ClientTlsOptions {
    return clientOptions(this.#context, this.#verify, alpn, expect);
  }
}

/** Options for a client: the peer is judged inside the handshake, by our rules and not by the host's name. */
export function clientOptions(
  secureContext: SecureContext,
  verify: Verify,
  alpn: readonly string[] | undefined,
  expect: ExpectedPeer,
): ClientTlsOptions {
  return {
    secureContext,
    rejectUnauthorized: true,
    ...(expect.dnsName === undefined ? {} : { servername: expect.dnsName }),
    ...(alpn === undefined ? {} : { ALPNProtocols: [...alpn] }),
    checkServerIdentity: (_host, certificate) => {
      const judged = verify(new X509Certificate(certificate.raw), () => presentedWith(certificate));
      return judged instanceof VerifyError ? judged : matchExpected(judged, expect);
    },
  } satisfies ConnectionOptions;
}

interface LegacyCertificate {
  raw: Buffer;
  issuerCertificate?: LegacyCertificate;
}

/** Node's older form of a peer's certificate links each to its issuer; a self-signed one to itself. */
function presentedWith(leaf: LegacyCertificate): Uint8Array[] {
  const found: Uint8Array[] = [];
  let next = leaf.issuerCertificate;
  while (next !== undefined && found.length < MAX_PRESENTED) {
    found.push(next.raw);
    if (next.issuerCertificate === next) break;
    next = next.issuerCertificate;
  }
  return found;
}
