import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { silentLog } from '../../log/index.ts';
import { createWorkloadIdentity, type WorkloadIdentity, type WorkloadNames } from '../index.ts';
import { type Made, makeIssuer, makeLeaf, requestedKey } from './test-ca.ts';

/**
 * The identity of a workload without a control plane: an issuer of its cluster below `root` signs its leaf in this
 * process. Resolves when it is ready; the caller stops it.
 * @param trusted the anchors it believes
 * @param dir a folder of the test's, for the file of anchors
 */
export async function localIdentity(
  names: WorkloadNames,
  root: Made,
  trusted: readonly Made[],
  dir: string,
): Promise<WorkloadIdentity> {
  const anchorsFile = join(dir, `anchors-${randomUUID()}`);
  await writeFile(anchorsFile, trusted.map((t) => t.pem).join(''));
  const issuer = await makeIssuer(root, names.clusterId);
  const identity = createWorkloadIdentity({
    names,
    podName: 'pod',
    anchorsFile,
    certify: {
      kind: 'local',
      certifier: async ({ csr }) => {
        const leaf = await makeLeaf(issuer, names, { publicKey: requestedKey(csr) });
        const validUntil = Date.parse(leaf.x509.validTo);
        return { leaf: leaf.x509.raw, intermediates: [issuer.x509.raw], validUntil };
      },
    },
    resolve: () => Promise.reject(new Error('nothing to resolve')),
    logger: silentLog,
  });
  await identity.ready;
  return identity;
}
