import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writePrivateFile } from './private-file.ts';

/** The P-256 key that signs ServiceAccount tokens (ES256), kept across restarts. */
export interface SigningKey {
  readonly keyId: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  /** RFC 7517. */
  readonly jwk: Readonly<Record<string, unknown>>;
}

/** Reads the key from `directory`, or makes it there. */
export function openSigningKey(directory: string): SigningKey {
  const path = join(directory, 'service-account.key');
  if (!existsSync(path)) {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    writePrivateFile(path, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  }
  const privateKey = createPrivateKey(readFileSync(path));
  const publicKey = createPublicKey(privateKey);
  const keyId = createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64url');
  const jwk = { ...publicKey.export({ format: 'jwk' }), use: 'sig', kid: keyId, alg: 'ES256' };
  return { keyId, privateKey, publicKey, jwk };
}
