import { readFile } from 'node:fs/promises';
import type { ClientConfig } from '../kubernetes/types.ts';
import type { PlainConfig } from './messages.ts';

/** A client's configuration out of plain data. */
export function clientConfig(plain: PlainConfig): ClientConfig {
  const { server, ca, token, tokenFile, cert, key } = plain;
  const base = { server, ...(ca === undefined ? {} : { ca }) };
  if (tokenFile !== undefined)
    return { ...base, auth: { kind: 'token', token: () => readFile(tokenFile, 'utf8') } };
  if (token !== undefined) return { ...base, auth: { kind: 'token', token: () => token } };
  if (cert !== undefined && key !== undefined) return { ...base, auth: { kind: 'certificate', cert, key } };
  return base;
}

/** Plain data out of the configuration that a link's kubeconfig gave: a token there is inline and never changes. */
export async function plainConfig(config: ClientConfig): Promise<PlainConfig> {
  const { server, ca, auth } = config;
  const base = { server, ...(ca === undefined ? {} : { ca }) };
  if (auth?.kind === 'token') return { ...base, token: await auth.token() };
  if (auth?.kind === 'certificate') return { ...base, cert: auth.cert, key: auth.key };
  return base;
}
