import { createHash, createPublicKey, type KeyObject, randomBytes, sign } from 'node:crypto';
import { dnsIdentity, spiffeId } from '../api/names.ts';
import {
  der,
  ecdsaSha256,
  oids,
  type WorkloadNames,
  writeSubjectAltNames,
} from '../workload-identity/index.ts';

/** ms; Linkerd's default. */
export const LEAF_LIFETIME_MS = 86_400_000;
/** ms by which a leaf is valid before its issue: verifiers' clocks may be behind (Linkerd's chart value). */
export const CLOCK_SKEW_MS = 20_000;
/** RFC 5280 4.1.2.2: at most 20 bytes; 16 random ones never meet twice. */
const SERIAL_BYTES = 16;

/** What signs leaves. */
export interface LeafSigner {
  /** DER of the issuer's subject. */
  subject: Buffer;
  subjectKeyId: Buffer;
  key: KeyObject;
  /** ms since the epoch; no leaf outlives it. */
  notAfter: number;
}

/**
 * Writes and signs a workload's certificate: empty subject, DNS identity and SPIFFE ID made from `names` alone, for TLS client and server.
 * @param publicKey SubjectPublicKeyInfo, DER
 * @returns DER and the end of validity
 */
export function issueLeaf(
  signer: LeafSigner,
  publicKey: Buffer,
  names: WorkloadNames,
  now: number,
  lifetimeMs: number = LEAF_LIFETIME_MS,
): { certificate: Buffer; notAfter: number } {
  // Certificates count whole seconds; the end must not be rounded beyond the issuer's.
  const notAfter = Math.floor(Math.min(now + lifetimeMs, signer.notAfter) / 1000) * 1000;
  const tbs = der.sequence(
    der.element(der.contextTag(0, true), der.smallInteger(VERSION_3)),
    der.unsignedInteger(serial()),
    ecdsaSha256,
    signer.subject,
    der.sequence(der.time(now - CLOCK_SKEW_MS), der.time(notAfter)),
    EMPTY_NAME,
    publicKey,
    der.element(der.contextTag(3, true), extensions(signer, publicKey, names)),
  );
  return {
    certificate: der.sequence(tbs, ecdsaSha256, der.bitString(sign('sha256', tbs, signer.key))),
    notAfter,
  };
}

const VERSION_3 = 2;
const EMPTY_NAME = der.sequence();
/** digitalSignature only: bit 0, seven unused bits. */
const KEY_USAGE = der.bitString(Buffer.from([0x80]), 7);
const EXTENDED_KEY_USAGE = der.sequence(der.oid(oids.serverAuth), der.oid(oids.clientAuth));

function extensions(signer: LeafSigner, publicKey: Buffer, names: WorkloadNames): Buffer {
  const san = writeSubjectAltNames({ dns: [dnsIdentity(names)], uri: [spiffeId(names)] });
  return der.sequence(
    extension(oids.keyUsage, KEY_USAGE, 'critical'),
    extension(oids.extendedKeyUsage, EXTENDED_KEY_USAGE),
    extension(oids.basicConstraints, der.sequence(), 'critical'),
    extension(oids.subjectKeyId, der.octetString(keyId(publicKey))),
    extension(oids.authorityKeyId, der.sequence(der.element(der.contextTag(0, false), signer.subjectKeyId))),
    // With an empty subject the names are the identity (RFC 5280 4.2.1.6).
    extension(oids.subjectAltName, san, 'critical'),
  );
}

function extension(id: string, value: Buffer, critical?: 'critical'): Buffer {
  return critical === undefined
    ? der.sequence(der.oid(id), der.octetString(value))
    : der.sequence(der.oid(id), der.derTrue, der.octetString(value));
}

function serial(): Buffer {
  const bytes = randomBytes(SERIAL_BYTES);
  // Not zero, and positive without a sign byte.
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes;
}

/** RFC 5280 4.2.1.2 (1): SHA-1 of the key's bits. A name for the key, no security rests on it. */
export function keyId(publicKey: Buffer): Buffer {
  const reader = new der.DerReader(publicKey).enter();
  reader.expect(der.tag.sequence);
  return createHash('sha1').update(reader.bitString()).digest();
}

/** SubjectPublicKeyInfo of a key, DER. */
export function publicKeyDer(key: KeyObject): Buffer {
  return createPublicKey(key).export({ type: 'spki', format: 'der' });
}
