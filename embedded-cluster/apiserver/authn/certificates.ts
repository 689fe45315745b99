import { createPublicKey, randomBytes, webcrypto, X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type * as X509 from '@peculiar/x509';
import { writePrivateFile } from './private-file.ts';

/** A certificate and its key, PEM. */
export interface KeyPair {
  certificate: string;
  key: string;
}

/** The server's own authority, and what it has signed. */
export interface ServingCertificates {
  /** Signs the server's certificate and those of clients. */
  ca: string;
  server: KeyPair;
  /** `O=system:masters, CN=kubernetes-admin`: bound to cluster-admin. */
  admin: KeyPair;
}

const DAY_MS = 24 * 60 * 60_000;
/** As kubeadm: ten years for the authority, one for what it signs. */
const CA_DAYS = 3650;
const LEAF_DAYS = 365;
/** A leaf is made anew at start-up when it has less than this left. */
const RENEW_BEFORE_MS = 60 * DAY_MS;
/** Clocks of clients may be behind. */
const BACKDATE_MS = 5 * 60_000;

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

interface Subject {
  file: string;
  subject: string;
  usage: 'serverAuth' | 'clientAuth';
  /** IP addresses and DNS names. */
  names: readonly string[];
}

/** Opens the certificates in `directory`; makes those that are missing, near their end, or for another address. */
export async function openCertificates(
  directory: string,
  address: string,
  serviceAddress: string,
  now: () => number,
): Promise<ServingCertificates> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const ca = read(directory, 'ca') ?? (await makeAuthority(directory, now()));
  const server: Subject = {
    file: 'apiserver',
    subject: 'CN=kube-apiserver',
    usage: 'serverAuth',
    names: [
      address,
      '127.0.0.1',
      serviceAddress,
      'localhost',
      'kubernetes',
      'kubernetes.default',
      'kubernetes.default.svc',
      'kubernetes.default.svc.cluster.local',
    ],
  };
  const admin: Subject = {
    file: 'admin',
    subject: 'O=system:masters, CN=kubernetes-admin',
    usage: 'clientAuth',
    names: [],
  };
  return {
    ca: ca.certificate,
    server: await openLeaf(directory, ca, server, now()),
    admin: await openLeaf(directory, ca, admin, now()),
  };
}

function read(directory: string, name: string): KeyPair | undefined {
  const [certificate, key] = [join(directory, `${name}.crt`), join(directory, `${name}.key`)];
  if (!existsSync(certificate) || !existsSync(key)) return undefined;
  return { certificate: readFileSync(certificate, 'utf8'), key: readFileSync(key, 'utf8') };
}

function write(directory: string, name: string, pair: KeyPair): KeyPair {
  writePrivateFile(join(directory, `${name}.key`), pair.key);
  writePrivateFile(join(directory, `${name}.crt`), pair.certificate);
  return pair;
}

async function openLeaf(directory: string, ca: KeyPair, subject: Subject, now: number): Promise<KeyPair> {
  const kept = read(directory, subject.file);
  if (kept !== undefined && isUsable(kept, ca, subject, now)) return kept;
  return write(directory, subject.file, await makeLeaf(ca, subject, now));
}

function isUsable(pair: KeyPair, ca: KeyPair, { names }: Subject, now: number): boolean {
  const certificate = new X509Certificate(pair.certificate);
  const listed = new Set(
    (certificate.subjectAltName ?? '').split(', ').map((name) => name.replace(/^[^:]*:/, '')),
  );
  return (
    certificate.validToDate.getTime() - now > RENEW_BEFORE_MS &&
    certificate.verify(createPublicKey(ca.certificate)) &&
    names.every((name) => listed.has(name))
  );
}

/** Loaded only when something must be signed: it costs some hundred ms and 20 MiB. */
async function loadX509(): Promise<typeof X509> {
  await import('reflect-metadata');
  return import('@peculiar/x509');
}

async function makeAuthority(directory: string, now: number): Promise<KeyPair> {
  const x509 = await loadX509();
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    // A name of its own for each authority, so that a client which knows several does not try the wrong one.
    name: `CN=isthmus-cluster-ca-${randomBytes(4).toString('hex')}`,
    notBefore: new Date(now - BACKDATE_MS),
    notAfter: new Date(now + CA_DAYS * DAY_MS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return write(directory, 'ca', { certificate: pem(certificate), key: await exportKey(keys.privateKey) });
}

async function makeLeaf(ca: KeyPair, { subject, usage, names }: Subject, now: number): Promise<KeyPair> {
  const x509 = await loadX509();
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const issuer = new x509.X509Certificate(ca.certificate);
  const der = x509.PemConverter.decodeFirst(ca.key);
  const signingKey = await webcrypto.subtle.importKey('pkcs8', der, ALGORITHM, false, ['sign']);
  const alternatives = names.map((value) => ({
    type: /^[\d.]+$/.test(value) ? ('ip' as const) : ('dns' as const),
    value,
  }));
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject,
    issuer: issuer.subject,
    notBefore: new Date(now - BACKDATE_MS),
    notAfter: new Date(now + LEAF_DAYS * DAY_MS),
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage[usage]]),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
      ...(alternatives.length > 0 ? [new x509.SubjectAlternativeNameExtension(alternatives)] : []),
    ],
  });
  return { certificate: pem(certificate), key: await exportKey(keys.privateKey) };
}

/** 16 random bytes whose first bit is 0: a positive INTEGER without padding. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}

function pem(certificate: { toString(format: 'pem'): string }): string {
  return `${certificate.toString('pem')}\n`;
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key));
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN PRIVATE KEY-----\n${lines.join('\n')}\n-----END PRIVATE KEY-----\n`;
}
