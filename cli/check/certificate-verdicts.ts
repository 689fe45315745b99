import type { X509Certificate } from 'node:crypto';
import { error, ok, type Verdict, warning } from './check.ts';

const DAY_MS = 24 * 3_600_000;
/** Linkerd warns of anchors and issuers at 60 days. */
const EXPIRY_WARNING_MS = 60 * DAY_MS;
/** What lives for less than that is renewed by a program, at two thirds or 70 % of its life: below a quarter that has not happened. */
const EXPIRY_WARNING_SHARE = 0.25;

/** The span in which something is good, ms since the epoch. */
export interface Validity {
  from: number;
  to: number;
}

/** When a certificate is valid, in ms since the epoch. */
export function validityOf(certificate: X509Certificate): Validity {
  return { from: certificate.validFromDate.getTime(), to: certificate.validToDate.getTime() };
}

/** How a certificate is called in messages: its subject, or its serial number where it has none. */
export function certificateName(certificate: X509Certificate): string {
  return certificate.subject?.replaceAll('\n', ',') || `with serial number ${certificate.serialNumber}`;
}

/** Within its validity period. */
export function isValid(what: string, { from, to }: Validity, now: number): Verdict {
  if (now < from) return error(`${what} is not valid before ${day(from)}: compare the clocks`);
  return now > to ? error(`${what} expired at ${day(to)}`) : ok;
}

/** Not near its end. What is past it is the matter of `isValid`. */
export function isLasting(what: string, { from, to }: Validity, now: number): Verdict {
  const left = to - now;
  if (left < 0 || left >= Math.min(EXPIRY_WARNING_MS, (to - from) * EXPIRY_WARNING_SHARE)) return ok;
  return warning(`${what} ends at ${day(to)}, in ${span(left)}`);
}

/** Curves and key sizes that every TLS library in the mesh takes. */
const EC_CURVES: ReadonlySet<string> = new Set(['prime256v1', 'secp384r1', 'secp521r1']);
const LEAST_RSA_BITS = 2048;

/** The key and the signature are of a kind that peers accept: ECDSA, RSA or Ed25519, with SHA-256 or better. */
export function isSupported(what: string, certificate: X509Certificate): Verdict {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details = {} } = certificate.publicKey;
  const strong =
    type === 'ed25519' ||
    (type === 'ec' && EC_CURVES.has(details.namedCurve ?? '')) ||
    (type === 'rsa' && (details.modulusLength ?? 0) >= LEAST_RSA_BITS);
  if (!strong) {
    const size = details.namedCurve ?? details.modulusLength ?? '';
    return error(`${what} has a key of type ${type} ${size}, which peers do not accept`);
  }
  const algorithm = certificate.signatureAlgorithm ?? 'unknown';
  return /sha1|md5/i.test(algorithm) ? error(`${what} is signed by ${algorithm}, which peers refuse`) : ok;
}

function day(ms: number): string {
  return new Date(ms).toISOString().replace('.000Z', 'Z');
}

function span(ms: number): string {
  const hours = Math.floor(ms / 3_600_000);
  return hours < 48 ? `${hours} hours` : `${Math.floor(hours / 24)} days`;
}
