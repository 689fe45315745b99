import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { access, chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DEFAULT_TRUST_DOMAIN } from '../api/names.ts';
import { readCertificate } from '../workload-identity/index.ts';
import { checkTrustDomain } from './names-check.ts';
import { KEY_ALGORITHM, SIGNATURE_ALGORITHM, x509Library } from './x509-library.ts';

const DAY_MS = 86_400_000;
/** Ten years: an anchor is replaced by a rotation, not by its expiry. */
export const ANCHOR_LIFETIME_MS = 3_650 * DAY_MS;
/** Clocks of the clusters differ a little from the operator's. */
export const CA_SKEW_MS = 60_000;

/** Names of the files in the operator's folder. */
export const anchorFile = { certificate: 'ca.crt', key: 'ca.key' } as const;

/** A certificate with its private key, both PEM. */
export interface CertificateAndKey {
  certificate: string;
  /** PKCS#8. */
  key: string;
}

/** Makes a trust anchor: self-signed, P-256, one level of issuers below it, and the trust domain's SPIFFE ID as its name. */
export async function createTrustAnchor(
  options: { trustDomain?: string; lifetimeMs?: number; now?: number } = {},
): Promise<CertificateAndKey> {
  const { trustDomain = DEFAULT_TRUST_DOMAIN, lifetimeMs = ANCHOR_LIFETIME_MS, now = Date.now() } = options;
  checkTrustDomain(trustDomain);
  const x509 = await x509Library();
  const keys = await crypto.subtle.generateKey(KEY_ALGORITHM, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: [{ CN: [`root.${trustDomain}`] }],
    notBefore: new Date(now - CA_SKEW_MS),
    notAfter: new Date(now + lifetimeMs),
    keys,
    signingAlgorithm: SIGNATURE_ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, 1, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      new x509.SubjectAlternativeNameExtension([{ type: 'url', value: `spiffe://${trustDomain}` }]),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: toPem(certificate), key: await exportKey(keys.privateKey) };
}

/** Writes an anchor into a folder, which is made where it is missing; the key's file is for its owner only. Refuses to overwrite an anchor. */
export async function writeTrustAnchor(dir: string, anchor: CertificateAndKey): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const keyFile = join(dir, anchorFile.key);
  const certificateFile = join(dir, anchorFile.certificate);
  for (const file of [keyFile, certificateFile]) {
    if (await exists(file)) {
      throw new Error(`${file} is there already: choose another folder, or move the old trust anchor away`);
    }
  }
  await writeFile(keyFile, anchor.key, { mode: 0o600, flag: 'wx' });
  await chmod(keyFile, 0o600);
  await writeFile(certificateFile, anchor.certificate, { mode: 0o644, flag: 'wx' });
}

async function exists(file: string): Promise<boolean> {
  try {
    await access(file);
    return true;
  } catch {
    return false;
  }
}

/** Reads an anchor that `writeTrustAnchor` wrote, and checks it. */
export async function readTrustAnchor(dir: string): Promise<CertificateAndKey> {
  const [certificate, key] = await Promise.all(
    [anchorFile.certificate, anchorFile.key].map((name) => readNamed(join(dir, name))),
  );
  const anchor = { certificate: certificate ?? '', key: key ?? '' };
  checkTrustAnchor(anchor, Date.now());
  return anchor;
}

async function readNamed(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new Error(
      `the trust anchor cannot be read: ${(error as Error).message}; make one with "isthmus trust create --out DIR"`,
      {
        cause: error,
      },
    );
  }
}

/**
 * Throws, saying what is wrong, unless this is a CA certificate that is valid now, may have issuers below it, and has this key.
 */
export function checkTrustAnchor(
  anchor: CertificateAndKey,
  now: number,
): { x509: X509Certificate; key: KeyObject } {
  const x509 = parsePem(anchor.certificate, 'the trust anchor');
  const facts = readCertificate(x509.raw);
  if (!facts.ca || facts.keyUsage?.keyCertSign === false) {
    throw new Error('the trust anchor is not a CA certificate: it cannot sign issuers');
  }
  if (facts.pathLength === 0)
    throw new Error('the trust anchor has path length 0: it cannot have issuers below it');
  if (now > facts.notAfter) {
    throw new Error(`the trust anchor expired at ${new Date(facts.notAfter).toISOString()}: make a new one`);
  }
  if (now < facts.notBefore) {
    throw new Error(
      `the trust anchor is not valid before ${new Date(facts.notBefore).toISOString()}: check the clock`,
    );
  }
  const key = parseKey(anchor.key, 'the trust anchor');
  if (!x509.checkPrivateKey(key)) throw new Error("the trust anchor's key is not the key of its certificate");
  return { x509, key };
}

/** The first certificate of a PEM text; throws an error that names `what`. */
function parsePem(pem: string, what: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw new Error(`${what} is not a PEM certificate`, { cause: error });
  }
}

/** A private key; throws an error that names whose it is, and never shows the key. */
export function parseKey(pem: string, what: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    throw new Error(`the key of ${what} is not an unencrypted PEM private key`);
  }
}

/** PEM with a last newline, as openssl writes it. */
export function toPem(certificate: { toString(format: 'pem'): string }): string {
  return `${certificate.toString('pem').trim()}\n`;
}

/** PKCS#8 PEM. */
export async function exportKey(key: CryptoKey): Promise<string> {
  const pkcs8 = await crypto.subtle.exportKey('pkcs8', key);
  return createPrivateKey({ key: Buffer.from(pkcs8), format: 'der', type: 'pkcs8' }).export({
    type: 'pkcs8',
    format: 'pem',
  });
}
