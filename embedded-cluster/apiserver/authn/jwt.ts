import { sign, verify } from 'node:crypto';
import { isObject, type JsonObject } from '../json.ts';
import type { SigningKey } from './signing-key.ts';

/** RFC 7518 3.4: the signature is r and s side by side. */
const ENCODING = 'ieee-p1363';

/** A JWT (RFC 7519) signed with ES256. */
export function signJwt(key: SigningKey, claims: JsonObject): string {
  const header = { alg: 'ES256', kid: key.keyId };
  const signed = `${encode(header)}.${encode(claims)}`;
  const signature = sign('sha256', Buffer.from(signed), { key: key.privateKey, dsaEncoding: ENCODING });
  return `${signed}.${signature.toString('base64url')}`;
}

/** The claims of a JWT that `key` has signed; undefined for anything else. Times are not judged here. */
export function verifyJwt(key: SigningKey, token: string): JsonObject | undefined {
  const [header, payload, signature, ...rest] = token.split('.');
  if (header === undefined || payload === undefined || signature === undefined || rest.length > 0)
    return undefined;
  const parsed = decode(header);
  if (parsed?.['alg'] !== 'ES256' || parsed['kid'] !== key.keyId) return undefined;
  const valid = verify(
    'sha256',
    Buffer.from(`${header}.${payload}`),
    { key: key.publicKey, dsaEncoding: ENCODING },
    Buffer.from(signature, 'base64url'),
  );
  return valid ? decode(payload) : undefined;
}

function encode(value: JsonObject): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function decode(part: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
