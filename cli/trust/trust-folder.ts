import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  anchorFile,
  createIssuer,
  createTrustAnchor,
  readTrustAnchor,
  writeTrustAnchor,
} from '../../identity/index.ts';
import { UserError } from '../errors.ts';
import { homeFolder } from '../home-folder.ts';
import { makeFolder } from '../make-folder.ts';
import type { InstallValues, TrustMaterial } from '../install/values.ts';

/** Where the trust anchor lies when nobody names a folder (XDG base directory specification). */
export function defaultTrustDir(): string {
  return join(process.env['XDG_CONFIG_HOME'] || join(homeFolder(), '.config'), 'isthmus', 'trust');
}

/** The anchor's key lies in it. */
const FOLDER_MODE = 0o700;

/** Makes a trust anchor in `dir`, and that with its parents. Throws a UserError when one is there already, or the folder cannot be made. */
export async function createTrustFolder(dir: string, trustDomain?: string): Promise<void> {
  const anchor = await asUserError(() => createTrustAnchor(trustDomain === undefined ? {} : { trustDomain }));
  await makeFolder(dir, FOLDER_MODE);
  await asUserError(() => writeTrustAnchor(dir, anchor));
}

/** The certificate (PEM) of the anchor in `dir`, without its key. Throws a UserError when there is none. */
export async function readAnchor(dir: string): Promise<string> {
  return asUserError(() => readFile(join(dir, anchorFile.certificate), 'utf8'));
}

/** Signs an issuer for a cluster with the anchor in `dir`. The anchor's key stays there. */
export async function signIssuer(dir: string, values: InstallValues): Promise<TrustMaterial> {
  const anchor = await asUserError(() => readTrustAnchor(dir));
  const issuer = await asUserError(() =>
    createIssuer({ anchor, clusterId: values.clusterName, trustDomain: values.trustDomain }),
  );
  return {
    anchors: [anchor.certificate],
    issuerCertificate: issuer.certificate,
    issuerKey: issuer.key,
  };
}

/** What the identity code says about names, files and certificates is about what the person gave it. */
async function asUserError<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new UserError(error instanceof Error ? error.message : String(error), undefined, { cause: error });
  }
}
