import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';

import type { MadeCertificate } from '../injector/index.ts';
import { der, ecdsaSha256, oids, writeSubjectAltNames } from '../workload-identity/index.ts';

/** RFC 5280 4.1.2.2: at most 20 bytes; 16 random ones never meet twice. */
const SERIAL_BYTES = 16;
const VERSION_3 = 2;
const COMMON_NAME = '2.5.4.3';
const UTF8_STRING = 0x0c;
/** Bits of KeyUsage: digitalSignature (0), keyCertSign (5). */
const SIGNATURE_USAGE = der.bitString(Buffer.from([0x80]), 7);
const CA_USAGE = der.bitString(Buffer.from([0x04]), 2);

/**
 * Makes the webhook's certificate and a CA for nothing else. The CA's key is thrown away: each renewal has a CA of its
 * own. Written by hand since the X.509 library takes 24 MiB, more than the rest of the control plane's code.
 */
export function makeServingCertificate(options: {
  dnsNames: readonly string[];
  notBefore: number;
  notAfter: number;
}): MadeCertificate {
  const { dnsNames, notBefore, notAfter } = options;
  const caKeys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const issuer = name('isthmus-injector CA');
  const common = { issuer, signer: caKeys.privateKey, notBefore, notAfter };
  const ca = certificate({
    ...common,
    subject: issuer,
    publicKey: caKeys.publicKey,
    extensions: [
      extension(oids.basicConstraints, der.sequence(der.derTrue), 'critical'),
      extension(oids.keyUsage, CA_USAGE, 'critical'),
    ],
  });
  const serving = certificate({
    ...common,
    subject: name(dnsNames[0] ?? 'isthmus-injector'),
    publicKey: keys.publicKey,
    extensions: [
      extension(oids.basicConstraints, der.sequence(), 'critical'),
      extension(oids.keyUsage, SIGNATURE_USAGE, 'critical'),
      extension(oids.extendedKeyUsage, der.sequence(der.oid(oids.serverAuth))),
      extension(oids.subjectAltName, writeSubjectAltNames({ dns: [...dnsNames], uri: [] })),
    ],
  });
  return {
    ca: pem(ca),
    certificate: pem(serving),
    key: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }),
  };
}

function certificate(parts: {
  issuer: Buffer;
  subject: Buffer;
  publicKey: KeyObject;
  signer: KeyObject;
  notBefore: number;
  notAfter: number;
  extensions: Buffer[];
}): Buffer {
  const tbs = der.sequence(
    der.element(der.contextTag(0, true), der.smallInteger(VERSION_3)),
    der.unsignedInteger(randomBytes(SERIAL_BYTES)),
    ecdsaSha256,
    parts.issuer,
    der.sequence(der.time(parts.notBefore), der.time(parts.notAfter)),
    parts.subject,
    parts.publicKey.export({ type: 'spki', format: 'der' }),
    der.element(der.contextTag(3, true), der.sequence(...parts.extensions)),
  );
  return der.sequence(tbs, ecdsaSha256, der.bitString(sign('sha256', tbs, parts.signer)));
}

/** A distinguished name of one common name, cut to the 64 characters that X.520 allows; the names that count are in the SAN. */
function name(text: string): Buffer {
  const value = der.element(UTF8_STRING, Buffer.from(text.slice(0, 64)));
  return der.sequence(der.element(0x31, der.sequence(der.oid(COMMON_NAME), value)));
}

function extension(id: string, value: Buffer, critical?: 'critical'): Buffer {
  const flag = critical === undefined ? [] : [der.derTrue];
  return der.sequence(der.oid(id), ...flag, der.octetString(value));
}

function pem(bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}
