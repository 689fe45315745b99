import { type DerElement, DerError, DerReader, contextTag, decodeTime, tag } from './der.ts';
import { readSubjectAltNames, type SubjectAltNames } from './der-san.ts';
import { oids } from './x509-names.ts';

/** What the mesh's rules ask of a certificate. */
export interface CertificateFacts {
  /** DER of the issuer's and the subject's name. */
  issuer: Buffer;
  subject: Buffer;
  /** ms since the epoch, both inclusive. */
  notBefore: number;
  notAfter: number;
  /** SubjectPublicKeyInfo, DER. */
  publicKey: Buffer;
  names: SubjectAltNames;
  ca: boolean;
  /** How many more CA certificates may follow; undefined: no limit. */
  pathLength: number | undefined;
  /** Undefined when the extension is absent. */
  keyUsage: KeyUsage | undefined;
  /** Object identifiers; undefined when the extension is absent. */
  extendedKeyUsage: string[] | undefined;
  subjectKeyId: Buffer | undefined;
  /** Critical extensions that are not known here: whoever judges the certificate must refuse it (RFC 5280 4.2). */
  unknownCritical: string[];
}

export interface KeyUsage {
  digitalSignature: boolean;
  keyCertSign: boolean;
  cRLSign: boolean;
}

/** Takes a certificate apart (RFC 5280 4.1). Throws a `DerError`. Signatures are not looked at. */
export function readCertificate(der: Uint8Array): CertificateFacts {
  const outer = new DerReader(der);
  const certificate = outer.enter();
  outer.end();
  const tbs = certificate.enter();
  tbs.optional(contextTag(0, true));
  tbs.expect(tag.integer);
  tbs.expect(tag.sequence);
  const issuer = tbs.expect(tag.sequence).raw;
  const validity = tbs.enter();
  const notBefore = decodeTime(validity.read());
  const notAfter = decodeTime(validity.read());
  const subject = tbs.expect(tag.sequence).raw;
  const publicKey = tbs.expect(tag.sequence).raw;
  tbs.optional(contextTag(1, false));
  tbs.optional(contextTag(2, false));
  const facts: CertificateFacts = {
    issuer,
    subject,
    notBefore,
    notAfter,
    publicKey,
    names: { dns: [], uri: [], others: 0 },
    ca: false,
    pathLength: undefined,
    keyUsage: undefined,
    extendedKeyUsage: undefined,
    subjectKeyId: undefined,
    unknownCritical: [],
  };
  const extensions = tbs.optional(contextTag(3, true));
  if (extensions !== undefined) readExtensions(extensions, facts);
  tbs.end();
  return facts;
}

function readExtensions(wrapped: DerElement, facts: CertificateFacts): void {
  const list = new DerReader(wrapped.content).enter();
  const seen = new Set<string>();
  while (!list.done) {
    const extension = readExtension(list);
    if (seen.has(extension.id)) throw new DerError(`extension ${extension.id} stands twice`);
    seen.add(extension.id);
    applyExtension(extension, facts);
  }
}

/** One Extension (RFC 5280 4.1), as it also stands in a certificate request. */
export function readExtension(list: DerReader): { id: string; critical: boolean; value: Buffer } {
  const extension = list.enter();
  const id = extension.oid();
  const critical = extension.peek() === tag.boolean ? extension.boolean() : false;
  const value = extension.expect(tag.octetString).content;
  extension.end();
  return { id, critical, value };
}

function applyExtension(
  extension: { id: string; critical: boolean; value: Buffer },
  facts: CertificateFacts,
): void {
  const value = new DerReader(extension.value);
  switch (extension.id) {
    case oids.subjectAltName:
      facts.names = readSubjectAltNames(extension.value);
      return;
    case oids.basicConstraints: {
      const constraints = value.enter();
      facts.ca = constraints.peek() === tag.boolean ? constraints.boolean() : false;
      facts.pathLength = constraints.done ? undefined : constraints.smallInteger();
      return;
    }
    case oids.keyUsage:
      facts.keyUsage = readKeyUsage(value.expect(tag.bitString).content);
      return;
    case oids.extendedKeyUsage: {
      const usages = value.enter();
      facts.extendedKeyUsage = [];
      while (!usages.done) facts.extendedKeyUsage.push(usages.oid());
      return;
    }
    case oids.subjectKeyId:
      facts.subjectKeyId = value.expect(tag.octetString).content;
      return;
    default:
      if (extension.critical) facts.unknownCritical.push(extension.id);
  }
}

/** Bits from the most significant one (RFC 5280 4.2.1.3): 0 digitalSignature, 5 keyCertSign, 6 cRLSign. */
function readKeyUsage(content: Buffer): KeyUsage {
  const bits = content[1] ?? 0;
  return {
    digitalSignature: (bits & 0x80) !== 0,
    keyCertSign: (bits & 0x04) !== 0,
    cRLSign: (bits & 0x02) !== 0,
  };
}
