import * as yaml from 'js-yaml';
import type { Link } from '../../api/isthmus-types.ts';
import type {
  KubernetesObject,
  Role,
  RoleBinding,
  Secret,
  ServiceAccount,
} from '../../api/kubernetes-types.ts';
import { component, GROUP_VERSION, label, spiffeId } from '../../api/names.ts';
import { LINK_ACCESS_ROLE } from '../install/rbac.ts';
import { labels } from '../install/pod-parts.ts';

/** Type of the Secrets that hold a link's kubeconfig; Linkerd's. */
export const LINK_SECRET_TYPE = 'mirror.linkerd.io/remote-kubeconfig';

/** The ServiceAccount, in the target, that a source cluster reads with. */
export function linkServiceAccountName(sourceClusterId: string): string {
  return `isthmus-link-${sourceClusterId}`;
}

/** The Secret that holds the way into a target cluster. */
export function linkSecretName(targetClusterId: string): string {
  return `isthmus-link-${targetClusterId}`;
}

/** What a link makes in the target cluster: an account with the least rights, which may ask for tokens for itself and nobody else. */
export function targetObjects(sourceClusterId: string, meshNamespace: string): KubernetesObject[] {
  const name = linkServiceAccountName(sourceClusterId);
  const metadata = { name, namespace: meshNamespace, labels: labels(name) };
  const rbac = 'rbac.authorization.k8s.io';
  const subjects: RoleBinding['subjects'] = [{ kind: 'ServiceAccount', name, namespace: meshNamespace }];
  const account: ServiceAccount = { apiVersion: 'v1', kind: 'ServiceAccount', metadata };
  const binding: RoleBinding = {
    apiVersion: `${rbac}/v1`,
    kind: 'ClusterRoleBinding',
    metadata: { name, labels: labels(name) },
    roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: LINK_ACCESS_ROLE },
    subjects,
  };
  const ownTokens: Role = {
    apiVersion: `${rbac}/v1`,
    kind: 'Role',
    metadata,
    rules: [
      { apiGroups: [''], resources: ['serviceaccounts/token'], resourceNames: [name], verbs: ['create'] },
    ],
  };
  const ownTokensBinding: RoleBinding = {
    apiVersion: `${rbac}/v1`,
    kind: 'RoleBinding',
    metadata,
    roleRef: { apiGroup: rbac, kind: 'Role', name },
    subjects,
  };
  return [account, binding, ownTokens, ownTokensBinding];
}

/** What the target is, as far as a link needs to know. */
export interface LinkTarget {
  clusterId: string;
  clusterDomain: string;
  trustDomain: string;
  meshNamespace: string;
  /** Address under which the source's pods reach the target's API. */
  server: string;
  ca: string | undefined;
  token: string;
  gatewayAddresses?: string[];
}

/** What a link makes in the source cluster: the credential and the Link. */
export function sourceObjects(target: LinkTarget, meshNamespace: string): KubernetesObject[] {
  const name = linkSecretName(target.clusterId);
  const secret: Secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name,
      namespace: meshNamespace,
      labels: { ...labels(name), [label.mirrorCluster]: target.clusterId },
    },
    type: LINK_SECRET_TYPE,
    data: { kubeconfig: Buffer.from(linkKubeconfig(target)).toString('base64') },
  };
  const link: Link = {
    apiVersion: GROUP_VERSION,
    kind: 'Link',
    metadata: { name: target.clusterId, namespace: meshNamespace, labels: labels(name) },
    spec: {
      targetClusterName: target.clusterId,
      targetClusterDomain: target.clusterDomain,
      targetClusterNamespace: target.meshNamespace,
      clusterCredentialsSecret: name,
      gateway: {
        serviceName: component.gateway,
        serviceNamespace: target.meshNamespace,
        identity: spiffeId({
          trustDomain: target.trustDomain,
          clusterId: target.clusterId,
          namespace: target.meshNamespace,
          serviceAccount: component.gateway,
        }),
        ...(target.gatewayAddresses === undefined ? {} : { addresses: target.gatewayAddresses }),
      },
      probe: { path: '/ready', periodSeconds: 3, timeoutSeconds: 3, failureThreshold: 3 },
      selector: { matchLabels: { [label.exported]: 'true' } },
    },
  };
  return [secret, link];
}

function linkKubeconfig(target: LinkTarget): string {
  const name = target.clusterId;
  const cluster: Record<string, string> = { server: target.server };
  if (target.ca !== undefined)
    cluster['certificate-authority-data'] = Buffer.from(target.ca).toString('base64');
  return yaml.dump({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster }],
    users: [{ name, user: { token: target.token } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  });
}
