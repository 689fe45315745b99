import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { Secret } from '../api/kubernetes-types.ts';
import { object, ownLabels } from '../api/names.ts';

/** A serving certificate with what clients verify it by. PEM. */
export interface ServingPair {
  certificate: string;
  key: string;
  /** Certificates of the CAs that signed this and the one before it, the newest first. */
  caBundle: string;
}

/** Makes a serving certificate and a CA of its own for it; the CA's key is not kept. Times in ms since the epoch. */
export type MakeServingCertificate = (options: {
  dnsNames: readonly string[];
  notBefore: number;
  notAfter: number;
}) => MadeCertificate | Promise<MadeCertificate>;

/** PEM. */
export interface MadeCertificate {
  certificate: string;
  key: string;
  ca: string;
}

/** Nothing but the API server's call depends on it, and it is renewed by itself: short enough to be exercised, long enough to outlive an outage. */
const LIFETIME_MS = 90 * 24 * 3_600_000;
/** Clocks of nodes differ. */
const SKEW_MS = 60_000;
const RENEW_AT = 0.7;

/** The certificate in a Secret, when it is whole and for that name; undefined otherwise. */
export function readServingSecret(secret: Secret | undefined, dnsName: string): ServingPair | undefined {
  const text = (key: string): string => Buffer.from(secret?.data?.[key] ?? '', 'base64').toString('utf8');
  const pair = { certificate: text('tls.crt'), key: text('tls.key'), caBundle: text('ca.crt') };
  try {
    const certificate = new X509Certificate(pair.certificate);
    const fits =
      certificate.checkPrivateKey(createPrivateKey(pair.key)) &&
      certificate.checkHost(dnsName) !== undefined &&
      certificate.verify(new X509Certificate(pair.caBundle).publicKey);
    return fits ? pair : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a certificate has lived 70 % of its life. */
export function isRenewalDue(pair: ServingPair, now: number): boolean {
  const { validFrom, validTo } = new X509Certificate(pair.certificate);
  const [from, to] = [Date.parse(validFrom), Date.parse(validTo)];
  return now >= from + (to - from) * RENEW_AT || now < from;
}

/** A fresh pair. The CA before stays in the bundle, for calls that meet a replica which has not taken the new pair yet. */
export async function makeServingPair(
  make: MakeServingCertificate,
  dnsNames: readonly string[],
  previous: ServingPair | undefined,
  now: number,
): Promise<ServingPair> {
  const made = await make({ dnsNames, notBefore: now - SKEW_MS, notAfter: now + LIFETIME_MS });
  const before = previous === undefined ? '' : firstCertificate(previous.caBundle);
  return { certificate: made.certificate, key: made.key, caBundle: `${made.ca.trim()}\n${before}` };
}

function firstCertificate(bundle: string): string {
  return new X509Certificate(bundle).toString();
}

/** The Secret that holds a pair. */
export function servingSecret(pair: ServingPair, namespace: string): Secret {
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: object.injectorTlsSecret, namespace, labels: ownLabels },
    type: 'kubernetes.io/tls',
    data: {
      'tls.crt': base64(pair.certificate),
      'tls.key': base64(pair.key),
      'ca.crt': base64(pair.caBundle),
    },
  };
}
