import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import {
  DerError,
  DerReader,
  contextTag,
  bitString,
  element,
  octetString,
  oid,
  sequence,
  smallInteger,
  tag,
} from './der.ts';
import { readExtension } from './der-certificate.ts';
import { readSubjectAltNames, type SubjectAltNames, writeSubjectAltNames } from './der-san.ts';
import { oids } from './x509-names.ts';

/** AlgorithmIdentifier of ECDSA with SHA-256 (RFC 5758 3.2: no parameters). */
export const ecdsaSha256: Buffer = sequence(oid(oids.ecdsaWithSha256));

/**
 * A certificate request (RFC 2986) with an empty subject and one DNS name, signed by the key pair's private key. DER.
 */
export function writeCsr(pair: { publicKey: KeyObject; privateKey: KeyObject }, dnsName: string): Buffer {
  const san = sequence(
    oid(oids.subjectAltName),
    octetString(writeSubjectAltNames({ dns: [dnsName], uri: [] })),
  );
  const attribute = sequence(oid(oids.extensionRequest), element(tag.set, sequence(san)));
  const info = sequence(
    smallInteger(0),
    sequence(),
    pair.publicKey.export({ type: 'spki', format: 'der' }),
    element(contextTag(0, true), attribute),
  );
  return sequence(info, ecdsaSha256, bitString(sign('sha256', info, pair.privateKey)));
}

/** What a request asks for. */
export interface CsrFacts {
  /** Common names of the subject; mostly none. */
  commonNames: string[];
  /** SubjectPublicKeyInfo, DER: always an uncompressed P-256 key. */
  publicKey: Buffer;
  names: SubjectAltNames;
}

/** What stands before the point in the SubjectPublicKeyInfo of an uncompressed P-256 key (RFC 5480 2). */
const P256_SPKI_HEADER = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex');
/** 0x04 and two coordinates. */
const P256_POINT_BYTES = 65;

/**
 * Takes a request apart and checks that its sender has the private key. Throws a `DerError` when it is malformed, when its key is not P-256, when its
 * signature is not ECDSA with SHA-256, or does not fit.
 */
export function readCsr(der: Uint8Array): CsrFacts {
  const outer = new DerReader(der);
  const request = outer.enter();
  outer.end();
  const infoElement = request.expect(tag.sequence);
  const algorithm = request.expect(tag.sequence).raw;
  const signature = request.bitString();
  request.end();
  if (!algorithm.equals(ecdsaSha256)) throw new DerError('the signature algorithm is not ECDSA with SHA-256');

  const info = new DerReader(infoElement.content);
  if (info.smallInteger() !== 0) throw new DerError('the request has an unknown version');
  const commonNames = readCommonNames(info.enter());
  const publicKey = info.expect(tag.sequence).raw;
  checkP256(publicKey);
  const names = readAttributes(info);
  info.end();
  if (!signatureFits(infoElement.raw, publicKey, signature)) {
    throw new DerError('the signature does not fit: the sender does not hold the private key');
  }
  return { commonNames, publicKey, names };
}

function checkP256(spki: Buffer): void {
  const point = spki.subarray(P256_SPKI_HEADER.length);
  const fits =
    spki.subarray(0, P256_SPKI_HEADER.length).equals(P256_SPKI_HEADER) &&
    point.length === P256_POINT_BYTES &&
    point[0] === 0x04;
  if (!fits) throw new DerError('the key is not an uncompressed ECDSA P-256 key');
}

function signatureFits(data: Buffer, spki: Buffer, signature: Buffer): boolean {
  try {
    return verify('sha256', data, createPublicKey({ key: spki, format: 'der', type: 'spki' }), signature);
  } catch {
    return false;
  }
}

function readCommonNames(subject: DerReader): string[] {
  const found: string[] = [];
  while (!subject.done) {
    const set = subject.enter(tag.set);
    while (!set.done) {
      const attribute = set.enter();
      const id = attribute.oid();
      const value = attribute.read();
      if (id === oids.commonName) found.push(value.content.toString('utf8'));
    }
  }
  return found;
}

function readAttributes(info: DerReader): SubjectAltNames {
  const wrapped = info.optional(contextTag(0, true));
  let names: SubjectAltNames | undefined;
  if (wrapped !== undefined) {
    const attributes = new DerReader(wrapped.content);
    while (!attributes.done) {
      const attribute = attributes.enter();
      const id = attribute.oid();
      const values = attribute.enter(tag.set);
      if (id !== oids.extensionRequest) continue;
      const extensions = values.enter();
      values.end();
      while (!extensions.done) {
        const extension = readExtension(extensions);
        if (extension.id !== oids.subjectAltName) continue;
        if (names !== undefined) throw new DerError('the request has two lists of alternative names');
        names = readSubjectAltNames(extension.value);
      }
    }
  }
  return names ?? { dns: [], uri: [], others: 0 };
}
