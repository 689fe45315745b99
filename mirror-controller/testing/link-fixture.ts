import * as yaml from 'js-yaml';
import type { Link } from '../../api/isthmus-types.ts';
import type { Secret } from '../../api/kubernetes-types.ts';

/** A kubeconfig as `isthmus link` writes it. */
export function kubeconfig(
  server: string,
  ca: string,
  user: Record<string, unknown> = { token: 'good' },
): string {
  return yaml.dump({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      { name: 'c', cluster: { server, 'certificate-authority-data': Buffer.from(ca).toString('base64') } },
    ],
    users: [{ name: 'u', user }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  });
}

export function linkSecret(target: string, text: string): Secret {
  return {
    metadata: { name: `isthmus-link-${target}`, namespace: 'isthmus' },
    type: 'mirror.linkerd.io/remote-kubeconfig',
    data: { kubeconfig: Buffer.from(text).toString('base64') },
  };
}

export function link(target: string, spec: Partial<Link['spec']> = {}): Link {
  return {
    metadata: { name: target, namespace: 'isthmus' },
    spec: {
      targetClusterName: target,
      targetClusterDomain: 'cluster.local',
      targetClusterNamespace: 'isthmus',
      clusterCredentialsSecret: `isthmus-link-${target}`,
      gateway: {
        serviceName: 'isthmus-gateway',
        serviceNamespace: 'isthmus',
        addresses: ['192.0.2.127'],
        identity: `spiffe://cluster.local/cluster/${target}/ns/isthmus/sa/isthmus-gateway`,
      },
      selector: { matchLabels: { 'mirror.linkerd.io/exported': 'true' } },
      ...spec,
    },
  };
}
