import { dump } from 'js-yaml';
import type { ServingCertificates } from './authn/certificates.ts';

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

/** A kubeconfig for kubectl: one cluster, one user (its admin), one context, all by the cluster's name. */
export function adminKubeconfig(
  clusterName: string,
  url: string,
  { ca, admin }: ServingCertificates,
): string {
  const user = `${clusterName}-admin`;
  return dump({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: clusterName, cluster: { server: url, 'certificate-authority-data': base64(ca) } }],
    users: [
      {
        name: user,
        user: {
          'client-certificate-data': base64(admin.certificate),
          'client-key-data': base64(admin.key),
        },
      },
    ],
    contexts: [{ name: clusterName, context: { cluster: clusterName, user } }],
    'current-context': clusterName,
  });
}
