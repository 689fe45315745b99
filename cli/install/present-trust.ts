import { X509Certificate } from 'node:crypto';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { object } from '../../api/names.ts';
import { resources } from '../../kubernetes/resources.ts';
import { type KubernetesClient, KubernetesError } from '../../kubernetes/types.ts';
import { UserError } from '../errors.ts';
import type { Output } from '../output.ts';
import { createTrustFolder, defaultTrustDir, readAnchor, signIssuer } from '../trust/trust-folder.ts';
import type { InstallValues, TrustMaterial } from './values.ts';

/** The folder of the trust anchor: the named one, or the operator's own, which is made at the first install and said aloud. */
async function trustFolder(named: string | undefined, trustDomain: string, output: Output): Promise<string> {
  if (named !== undefined) return named;
  const dir = defaultTrustDir();
  try {
    await access(join(dir, 'ca.crt'));
  } catch {
    await createTrustFolder(dir, trustDomain);
    output.err(
      `‼ made a trust anchor in ${dir}: every cluster of the set must be installed with it; keep ca.key safe\n`,
    );
  }
  return dir;
}

/** A newly signed issuer for these values, by the anchor in the folder of that name or the operator's own. */
export async function newTrust(
  values: InstallValues,
  named: string | undefined,
  output: Output,
): Promise<TrustMaterial> {
  return signIssuer(await trustFolder(named, values.trustDomain, output), values);
}

/** Anchors and issuer of the cluster's mesh; undefined when they are not both there. */
export async function findTrust(
  client: KubernetesClient,
  meshNamespace: string,
): Promise<TrustMaterial | undefined> {
  try {
    const secret = await client.get(resources.secrets, meshNamespace, object.issuerSecret);
    const bundle = await client.get(resources.trustBundles, undefined, object.trustBundle);
    const text = (key: string): string => Buffer.from(secret.data?.[key] ?? '', 'base64').toString();
    return {
      anchors: bundle.spec.anchors,
      issuerCertificate: text('tls.crt'),
      issuerKey: text('tls.key'),
    };
  } catch (error) {
    if (error instanceof KubernetesError && error.code === 404) return undefined;
    throw error;
  }
}

/** Throws a UserError when a folder was named whose anchor is none of those that the cluster trusts: an install does not exchange anchors. */
export async function refuseOtherAnchor(
  named: string | undefined,
  { anchors }: TrustMaterial,
): Promise<void> {
  if (named === undefined) return;
  const wanted = new X509Certificate(await readAnchor(named)).fingerprint256;
  if (anchors.some((anchor) => new X509Certificate(anchor).fingerprint256 === wanted)) return;
  throw new UserError(
    `the cluster's mesh trusts another anchor than the one in ${named}`,
    'Leave --trust out to keep the anchor of the cluster; exchanging it is a rotation.',
  );
}
