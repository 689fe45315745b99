// oxlint-disable-next-line import/no-unassigned-import -- the X.509 library's decorators need it to be there first
import 'reflect-metadata';
import { createPrivateKey, createPublicKey, type KeyObject, webcrypto, X509Certificate } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { dnsIdentity, issuerDnsName, spiffeId } from '../../api/names.ts';
import type { WorkloadNames } from '../types.ts';

/**
 * Makes any certificate that a test wants, also those that no issuer of ours would make. It uses the X.509 library and none of the code under test.
 */

x509.cryptoProvider.set(webcrypto);

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const HOUR_MS = 3_600_000;
/** Longer than any jump of a clock in a test. */
const LIFETIME_MS = 30 * 24 * HOUR_MS;

export const TRUST_DOMAIN = 'cluster.local';

/** A certificate with its key. */
export interface Made {
  x509: X509Certificate;
  pem: string;
  keys: webcrypto.CryptoKeyPair;
  subject: string;
}

export interface Recipe {
  subject?: string;
  /** Self-signed when absent. */
  issuer?: Made;
  dns?: readonly string[];
  uri?: readonly string[];
  ca?: boolean;
  pathLength?: number;
  /** Default: that of a CA, or of a leaf; 'none' leaves the extension out. */
  keyUsage?: x509.KeyUsagesExtension | 'none';
  extendedKeyUsage?: readonly string[];
  notBefore?: number;
  notAfter?: number;
  publicKey?: KeyObject;
  extraExtensions?: x509.Extension[];
}

export const keyUsageFlag = x509.KeyUsageFlags;
export const { Extension, KeyUsagesExtension } = x509;
/** The library itself; imported from here it finds what its decorators need. */
export { x509 };

export async function makeCertificate(recipe: Recipe): Promise<Made> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const publicKey = recipe.publicKey === undefined ? keys.publicKey : await importSpki(recipe.publicKey);
  const { subject = '', issuer, ca = false, dns = [], uri = [], keyUsage = defaultUsage(ca) } = recipe;
  const names = [
    ...dns.map((value) => ({ type: 'dns' as const, value })),
    ...uri.map((value) => ({ type: 'url' as const, value })),
  ];
  const certificate = await x509.X509CertificateGenerator.create({
    subject,
    issuer: issuer?.subject ?? subject,
    notBefore: new Date(recipe.notBefore ?? Date.now() - HOUR_MS),
    notAfter: new Date(recipe.notAfter ?? Date.now() + LIFETIME_MS),
    publicKey,
    signingKey: issuer?.keys.privateKey ?? keys.privateKey,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(ca, recipe.pathLength, true),
      ...(keyUsage === 'none' ? [] : [keyUsage]),
      ...(recipe.extendedKeyUsage === undefined
        ? []
        : [new x509.ExtendedKeyUsageExtension([...recipe.extendedKeyUsage])]),
      ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names, subject === '')]),
      ...(recipe.extraExtensions ?? []),
    ],
  });
  const made = new X509Certificate(Buffer.from(certificate.rawData));
  return {
    x509: made,
    pem: made.toString(),
    keys,
    subject,
  };
}

function defaultUsage(ca: boolean): x509.KeyUsagesExtension {
  const { keyCertSign, cRLSign, digitalSignature } = x509.KeyUsageFlags;
  return ca
    ? new x509.KeyUsagesExtension(keyCertSign | cRLSign, true)
    : new x509.KeyUsagesExtension(digitalSignature, true);
}

async function importSpki(key: KeyObject): Promise<CryptoKey> {
  return crypto.subtle.importKey('spki', key.export({ type: 'spki', format: 'der' }), ALGORITHM, true, [
    'verify',
  ]);
}

export function makeAnchor(name = 'root', recipe: Recipe = {}): Promise<Made> {
  return makeCertificate({
    subject: `CN=${name}`,
    ca: true,
    pathLength: 1,
    uri: [`spiffe://${TRUST_DOMAIN}`],
    ...recipe,
  });
}

export function makeIssuer(anchor: Made, clusterId: string, recipe: Recipe = {}): Promise<Made> {
  return makeCertificate({
    subject: `CN=issuer of ${clusterId}`,
    issuer: anchor,
    ca: true,
    pathLength: 0,
    dns: [issuerDnsName(clusterId, TRUST_DOMAIN)],
    uri: [`spiffe://${TRUST_DOMAIN}`],
    ...recipe,
  });
}

export function workload(serviceAccount: string, clusterId = 'east', namespace = 'shop'): WorkloadNames {
  return { serviceAccount, namespace, clusterId, meshNamespace: 'isthmus', trustDomain: TRUST_DOMAIN };
}

const SERVER_AND_CLIENT = ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'];

export function makeLeaf(issuer: Made, names: WorkloadNames, recipe: Recipe = {}): Promise<Made> {
  return makeCertificate({
    issuer,
    dns: [dnsIdentity(names)],
    uri: [spiffeId(names)],
    extendedKeyUsage: SERVER_AND_CLIENT,
    ...recipe,
  });
}

/** PKCS#8 PEM. */
export async function privateKeyPem(made: Made): Promise<string> {
  const pkcs8 = await crypto.subtle.exportKey('pkcs8', made.keys.privateKey);
  const key = createPrivateKey({ key: Buffer.from(pkcs8), format: 'der', type: 'pkcs8' });
  return key.export({ type: 'pkcs8', format: 'pem' });
}

/** The key that a certificate request (DER) asks for. */
export function requestedKey(csr: Uint8Array): KeyObject {
  const request = new x509.Pkcs10CertificateRequest(Buffer.from(csr));
  return createPublicKey({ key: Buffer.from(request.publicKey.rawData), format: 'der', type: 'spki' });
}
