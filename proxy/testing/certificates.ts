// oxlint-disable-next-line import/no-unassigned-import -- @peculiar/x509 needs its polyfill loaded first
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';

/** A throw-away authority with one leaf, PEM. */
export interface TestCertificates {
  ca: string;
  cert: string;
  key: string;
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const HOUR_MS = 3_600_000;

/** Makes an authority and a leaf for `name` (DNS SAN), valid for an hour. */
export async function makeCertificates(name: string): Promise<TestCertificates> {
  const { subtle } = globalThis.crypto;
  const authorityKeys = await subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const leafKeys = await subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const notBefore = new Date(Date.now() - HOUR_MS);
  const notAfter = new Date(Date.now() + HOUR_MS);
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=test authority',
    notBefore,
    notAfter,
    keys: authorityKeys,
    signingAlgorithm: ALGORITHM,
    extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
  });
  const leaf = await x509.X509CertificateGenerator.create({
    subject: `CN=${name}`,
    issuer: authority.subject,
    notBefore,
    notAfter,
    publicKey: leafKeys.publicKey,
    signingKey: authorityKeys.privateKey,
    signingAlgorithm: ALGORITHM,
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: name }])],
  });
  const key = Buffer.from(await subtle.exportKey('pkcs8', leafKeys.privateKey)).toString('base64');
  return {
    ca: authority.toString('pem'),
    cert: leaf.toString('pem'),
    key: `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n`,
  };
}
