import { webcrypto } from 'node:crypto';
import type * as X509 from '@peculiar/x509';

type Library = typeof X509;

let loaded: Promise<Library> | undefined;

/** The X.509 library, loaded at first use: it takes 100 ms, and only anchors and issuers, which are rare, are made with it. */
export function x509Library(): Promise<Library> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<Library> {
  // The library's decorators need this to be there before it.
  await import('reflect-metadata');
  const library = await import('@peculiar/x509');
  library.cryptoProvider.set(webcrypto);
  return library;
}

/** ECDSA on P-256, the only kind of key that the mesh makes. */
export const KEY_ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256' } as const;
/** With the hash that is signed. */
export const SIGNATURE_ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
