/** rbac.authorization.k8s.io/v1. */
import type { KubernetesObject, LabelSelector } from './meta.ts';

export interface PolicyRule {
  apiGroups?: string[];
  resources?: string[];
  resourceNames?: string[];
  nonResourceURLs?: string[];
  verbs: string[];
}

export interface Role extends KubernetesObject {
  rules?: PolicyRule[];
}

export interface ClusterRole extends Role {
  aggregationRule?: { clusterRoleSelectors?: LabelSelector[] };
}

export interface Subject {
  kind: 'ServiceAccount' | 'User' | 'Group';
  apiGroup?: string;
  name: string;
  namespace?: string;
}

export interface RoleBinding extends KubernetesObject {
  subjects?: Subject[];
  roleRef: { apiGroup: string; kind: string; name: string };
}
