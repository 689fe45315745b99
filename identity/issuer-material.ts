import { X509Certificate } from 'node:crypto';
import { issuerDnsName } from '../api/names.ts';
import {
  findChain,
  type ParsedCertificate,
  parseCertificate,
  VerifyError,
} from '../workload-identity/index.ts';
import { keyId, type LeafSigner, publicKeyDer } from './leaf.ts';
import { parseKey } from './trust-anchor.ts';

/** An issuer that may be used: it has been checked against the anchors. */
export interface IssuerMaterial {
  signer: LeafSigner;
  /** DER; goes to workloads beside their leaf. The issuer first. */
  chain: Buffer[];
  /** SHA-256, as OpenSSL prints it. */
  fingerprint: string;
}

const PEM_BLOCK = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;
/** An issuer and what stands between it and the anchor. */
const MAX_CHAIN = 4;

/**
 * Reads an issuer as the Secret holds it (`tls.crt`, `tls.key`, PEM) and checks it as peers will check the leaves below
 * it. Throws an error that says what is wrong; nothing of the key is ever in it.
 */
export function readIssuer(
  pem: { certificate: string; key: string },
  anchors: readonly X509Certificate[],
  names: { clusterId: string; trustDomain: string },
  now: number,
): IssuerMaterial {
  const certificates = parseChain(pem.certificate);
  const [issuer, ...rest] = certificates;
  if (issuer === undefined) throw new Error('tls.crt holds no PEM certificate');
  checkNames(issuer, names);
  const key = parseKey(pem.key, 'the issuer');
  if (!issuer.x509.checkPrivateKey(key)) throw new Error('tls.key is not the key of tls.crt');
  if (key.asymmetricKeyType !== 'ec') {
    throw new Error(`tls.key is a key of type ${key.asymmetricKeyType}: issuers use ECDSA`);
  }
  const path = findChain(issuer, rest, anchors.map(parseCertificate), now, 1);
  if (path instanceof VerifyError)
    throw new Error(`the issuer does not hold: ${path.message}`, { cause: path });
  return {
    signer: {
      subject: issuer.facts.subject,
      subjectKeyId: issuer.facts.subjectKeyId ?? keyId(publicKeyDer(key)),
      key,
      notAfter: Math.min(...[issuer, ...path].map((certificate) => certificate.facts.notAfter)),
    },
    chain: certificates.map((certificate) => certificate.x509.raw),
    fingerprint: issuer.x509.fingerprint256,
  };
}

function parseChain(pem: string): ParsedCertificate[] {
  const blocks = pem.match(PEM_BLOCK) ?? [];
  if (blocks.length > MAX_CHAIN)
    throw new Error(`tls.crt holds ${blocks.length} certificates; the limit is ${MAX_CHAIN}`);
  return blocks.map((block, i) => {
    try {
      return parseCertificate(new X509Certificate(block));
    } catch (error) {
      throw new Error(`certificate ${i + 1} of tls.crt cannot be read`, { cause: error });
    }
  });
}

/** Peers refuse every leaf of an issuer that is bound to another cluster: better to say so here. */
function checkNames(issuer: ParsedCertificate, names: { clusterId: string; trustDomain: string }): void {
  const { facts } = issuer;
  if (!facts.ca || facts.keyUsage?.keyCertSign === false) throw new Error('tls.crt is not a CA certificate');
  const wanted = issuerDnsName(names.clusterId, names.trustDomain);
  const bound = facts.names.dns.filter((name) => name.endsWith(issuerDnsName('', names.trustDomain)));
  if (bound.length !== 1 || bound[0] !== wanted) {
    throw new Error(
      `the issuer is certified for ${bound.join(', ') || 'no cluster'}; this cluster needs ${wanted}: docs/checks.md, "A new issuer", says how one is made`,
    );
  }
}
