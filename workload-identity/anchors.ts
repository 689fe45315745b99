import { X509Certificate } from 'node:crypto';

/** More anchors than this at once are no rotation but a mistake; the CRD has the same limit. */
export const MAX_ANCHORS = 16;

const PEM_BLOCK = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

/** The certificates of a PEM text, at least one. Throws an error that says what is wrong with it. */
export function parseAnchorsPem(pem: string): X509Certificate[] {
  const blocks = pem.match(PEM_BLOCK) ?? [];
  if (blocks.length === 0) throw new Error('there is no PEM certificate in it');
  return parseAnchors(blocks);
}

/** Anchors from PEM texts or DER bytes, one each. Throws when one is not a CA certificate, or when there are none or too many. */
export function parseAnchors(sources: readonly (string | Uint8Array)[]): X509Certificate[] {
  if (sources.length === 0) throw new Error('there are no trust anchors');
  if (sources.length > MAX_ANCHORS) {
    throw new Error(`there are ${sources.length} trust anchors; the limit is ${MAX_ANCHORS}`);
  }
  return sources.map((source, i) => {
    const certificate = parse(source, i);
    if (!certificate.ca) throw new Error(`trust anchor ${i + 1} is not a CA certificate`);
    return certificate;
  });
}

function parse(source: string | Uint8Array, index: number): X509Certificate {
  try {
    return new X509Certificate(source);
  } catch (error) {
    throw new Error(`trust anchor ${index + 1} is not a certificate`, { cause: error });
  }
}

/** Whether both hold the same certificates, in whatever order. */
export function sameAnchors(a: readonly X509Certificate[], b: readonly X509Certificate[]): boolean {
  const fingerprints = new Set(a.map((anchor) => anchor.fingerprint256));
  return (
    fingerprints.size === new Set(b.map((anchor) => anchor.fingerprint256)).size &&
    b.every((anchor) => fingerprints.has(anchor.fingerprint256))
  );
}
