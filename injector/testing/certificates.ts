import { createPrivateKey, webcrypto } from 'node:crypto';

import type { MadeCertificate } from '../serving-secret.ts';

// The library's decorators need this to be there before it.
await import('reflect-metadata');
const x509 = await import('@peculiar/x509');
x509.cryptoProvider.set(webcrypto);
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/** A CA and a certificate of it, by the X.509 library. */
export async function makeTestCertificate(options: {
  dnsNames: readonly string[];
  /** IP addresses, beside the names. */
  addresses?: readonly string[];
  notBefore: number;
  notAfter: number;
}): Promise<MadeCertificate> {
  const dates = { notBefore: new Date(options.notBefore), notAfter: new Date(options.notAfter) };
  const caKeys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    ...dates,
    name: 'CN=test CA',
    keys: caKeys,
    signingAlgorithm: ALGORITHM,
    extensions: [new x509.BasicConstraintsExtension(true)],
  });
  const certificate = await x509.X509CertificateGenerator.create({
    ...dates,
    subject: 'CN=test',
    issuer: ca.subject,
    publicKey: keys.publicKey,
    signingKey: caKeys.privateKey,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.SubjectAlternativeNameExtension([
        ...options.dnsNames.map((value) => ({ type: 'dns' as const, value })),
        ...(options.addresses ?? []).map((value) => ({ type: 'ip' as const, value })),
      ]),
    ],
  });
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  return {
    ca: ca.toString('pem'),
    certificate: certificate.toString('pem'),
    key: key.export({ format: 'pem', type: 'pkcs8' }),
  };
}
