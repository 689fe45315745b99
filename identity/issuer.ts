import { issuerDnsName } from '../api/names.ts';
import { readCertificate } from '../workload-identity/index.ts';
import { checkClusterId, checkTrustDomain } from './names-check.ts';
import { CA_SKEW_MS, type CertificateAndKey, checkTrustAnchor, exportKey, toPem } from './trust-anchor.ts';
import { KEY_ALGORITHM, SIGNATURE_ALGORITHM, x509Library } from './x509-library.ts';

/** One year. */
export const ISSUER_LIFETIME_MS = 365 * 86_400_000;

/**
 * Makes a cluster's issuer, signed by the anchor: it may sign leaves only, and its names bind it to the trust domain and to the cluster id. Its life ends
 * with the anchor's at the latest. Throws when the anchor is no CA, has expired, or has another key.
 */
export async function createIssuer(options: {
  anchor: CertificateAndKey;
  clusterId: string;
  trustDomain: string;
  lifetimeMs?: number;
  now?: number;
}): Promise<CertificateAndKey> {
  const { anchor, clusterId, trustDomain, lifetimeMs = ISSUER_LIFETIME_MS, now = Date.now() } = options;
  checkClusterId(clusterId);
  checkTrustDomain(trustDomain);
  const { x509: checked, key } = checkTrustAnchor(anchor, now);
  const x509 = await x509Library();
  const anchorCertificate = new x509.X509Certificate(checked.raw);
  const signingKey = await crypto.subtle.importKey(
    'pkcs8',
    key.export({ type: 'pkcs8', format: 'der' }),
    KEY_ALGORITHM,
    false,
    ['sign'],
  );
  const keys = await crypto.subtle.generateKey(KEY_ALGORITHM, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.create({
    subject: [{ CN: [issuerDnsName(clusterId, trustDomain)] }],
    issuer: anchorCertificate.subjectName,
    notBefore: new Date(now - CA_SKEW_MS),
    notAfter: new Date(Math.min(now + lifetimeMs, readCertificate(checked.raw).notAfter)),
    publicKey: keys.publicKey,
    signingKey,
    signingAlgorithm: SIGNATURE_ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      new x509.SubjectAlternativeNameExtension([
        { type: 'url', value: `spiffe://${trustDomain}` },
        { type: 'dns', value: issuerDnsName(clusterId, trustDomain) },
      ]),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(anchorCertificate.publicKey),
    ],
  });
  return { certificate: toPem(certificate), key: await exportKey(keys.privateKey) };
}
