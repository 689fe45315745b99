import { X509Certificate } from 'node:crypto';
import { type CertificateFacts, readCertificate } from './der-certificate.ts';
import { VerifyError } from './types.ts';

/** Certificates looked at beside the leaf; real chains have one or two. */
export const MAX_PRESENTED = 8;
/** CA certificates in a chain, the anchor included. */
export const MAX_CHAIN = 4;

/** ecdsa-with-SHA256/384/512, sha256/384/512WithRSAEncryption, RSASSA-PSS, Ed25519. Nothing older signs in a mesh. */
const SIGNATURE_ALGORITHMS = new Set([
  '1.2.840.10045.4.3.2',
  '1.2.840.10045.4.3.3',
  '1.2.840.10045.4.3.4',
  '1.2.840.113549.1.1.10',
  '1.2.840.113549.1.1.11',
  '1.2.840.113549.1.1.12',
  '1.2.840.113549.1.1.13',
  '1.3.101.112',
]);

/** A certificate, parsed by Node (for signatures) and by us (for everything else). */
export interface ParsedCertificate {
  x509: X509Certificate;
  facts: CertificateFacts;
}

/** Throws when the bytes are not a certificate. */
export function parseCertificate(source: X509Certificate | Uint8Array): ParsedCertificate {
  const x509 = source instanceof X509Certificate ? source : new X509Certificate(source);
  return { x509, facts: readCertificate(x509.raw) };
}

/** A path that holds: the leaf's issuer first, the anchor last. */
export type Chain = readonly [ParsedCertificate, ...ParsedCertificate[]];

/**
 * Finds a path from the leaf to an anchor (RFC 5280 6.1, without policies, name constraints and revocation: certificates that mark those critical are refused).
 * The order of `presented` means nothing, and each signature is checked here.
 * @param caBelow CA certificates that stand below the first one: 1 when a path for an issuer is looked for
 */
export function findChain(
  leaf: ParsedCertificate,
  presented: readonly ParsedCertificate[],
  anchors: readonly ParsedCertificate[],
  now: number,
  caBelow = 0,
): Chain | VerifyError {
  const isAnchor = new Set(anchors.map((anchor) => anchor.x509.fingerprint256));
  const candidates = [...anchors, ...presented.slice(0, MAX_PRESENTED)];
  let timeError = checkTime(leaf.facts, now, 'the leaf');
  if (timeError !== undefined) return timeError;

  function extend(subject: ParsedCertificate, path: ParsedCertificate[]): ParsedCertificate[] | undefined {
    if (path.length === MAX_CHAIN) return undefined;
    for (const issuer of candidates) {
      if (!maySign(issuer, subject, path.length + caBelow)) continue;
      const expired = checkTime(issuer.facts, now, 'a CA certificate of the chain');
      if (expired !== undefined) {
        timeError ??= expired;
        continue;
      }
      if (!signed(subject, issuer)) continue;
      const longer = [...path, issuer];
      if (isAnchor.has(issuer.x509.fingerprint256)) return longer;
      const found = extend(issuer, longer);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  const [first, ...rest] = extend(leaf, []) ?? [];
  if (first !== undefined) return [first, ...rest];
  return (
    timeError ?? new VerifyError('unknown-anchor', 'the certificate does not chain to a current trust anchor')
  );
}

/** All but time and signature: names, CA, key usage, and room for the CA certificates below it. */
function maySign(issuer: ParsedCertificate, subject: ParsedCertificate, below: number): boolean {
  const { facts } = issuer;
  return (
    facts.subject.equals(subject.facts.issuer) &&
    facts.ca &&
    facts.keyUsage?.keyCertSign !== false &&
    facts.unknownCritical.length === 0 &&
    (facts.pathLength === undefined || facts.pathLength >= below)
  );
}

function checkTime(facts: CertificateFacts, now: number, what: string): VerifyError | undefined {
  if (now > facts.notAfter) {
    return new VerifyError('expired', `${what} expired at ${new Date(facts.notAfter).toISOString()}`);
  }
  if (now < facts.notBefore) {
    return new VerifyError(
      'not-yet-valid',
      `${what} is not valid before ${new Date(facts.notBefore).toISOString()}: compare the clocks`,
    );
  }
  return undefined;
}

function signed(subject: ParsedCertificate, issuer: ParsedCertificate): boolean {
  try {
    return (
      SIGNATURE_ALGORITHMS.has(subject.x509.signatureAlgorithmOid ?? '') &&
      subject.x509.verify(issuer.x509.publicKey)
    );
  } catch {
    return false;
  }
}
