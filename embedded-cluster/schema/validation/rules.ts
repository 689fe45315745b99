import type { CustomResourceDefinition } from '../../../api/kubernetes-types.ts';
import type { StoredObject } from '../../types.ts';
import type { FieldError } from '../types.ts';
import { validateConfigMap, validateSecret } from './config.ts';
import { validateCrdSpec } from './crd.ts';
import { validateDisruptionBudget } from './disruption-budget.ts';
import { validateEndpointSlice } from './endpoint-slice.ts';
import { validateCoreEvent, validateEventsEvent } from './event.ts';
import { validateLease } from './lease.ts';
import {
  dns1035LabelProblem,
  dns1123LabelProblem,
  dns1123SubdomainProblem,
  pathSegmentProblem,
} from './names.ts';
import { validatePod } from './pod.ts';
import {
  validateClusterRole,
  validateClusterRoleBinding,
  validateRole,
  validateRoleBinding,
} from './rbac.ts';
import { validateService } from './service.ts';
import { validateWebhookConfiguration } from './webhook.ts';
import {
  validateCronJob,
  validateDaemonSet,
  validateDeployment,
  validateJob,
  validateReplicaSet,
  validateStatefulSet,
} from './workload.ts';

/** The semantic rules of one built-in kind; `old` is the object before an update. */
export type Rules = (object: StoredObject, old: StoredObject | undefined) => FieldError[];

const rules: Readonly<Record<string, Rules>> = {
  '/ConfigMap': validateConfigMap,
  '/Event': validateCoreEvent,
  '/Pod': validatePod,
  '/Secret': validateSecret,
  '/Service': validateService,
  'admissionregistration.k8s.io/MutatingWebhookConfiguration': validateWebhookConfiguration,
  'admissionregistration.k8s.io/ValidatingWebhookConfiguration': validateWebhookConfiguration,
  'apiextensions.k8s.io/CustomResourceDefinition': (object) =>
    validateCrdSpec(object as StoredObject & CustomResourceDefinition),
  'apps/DaemonSet': validateDaemonSet,
  'apps/Deployment': validateDeployment,
  'apps/ReplicaSet': validateReplicaSet,
  'apps/StatefulSet': validateStatefulSet,
  'batch/CronJob': validateCronJob,
  'batch/Job': validateJob,
  'coordination.k8s.io/Lease': validateLease,
  'discovery.k8s.io/EndpointSlice': validateEndpointSlice,
  'events.k8s.io/Event': validateEventsEvent,
  'policy/PodDisruptionBudget': validateDisruptionBudget,
  'rbac.authorization.k8s.io/ClusterRole': validateClusterRole,
  'rbac.authorization.k8s.io/ClusterRoleBinding': validateClusterRoleBinding,
  'rbac.authorization.k8s.io/Role': validateRole,
  'rbac.authorization.k8s.io/RoleBinding': validateRoleBinding,
};

export function rulesOf(group: string, kind: string): Rules {
  return rules[`${group}/${kind}`] ?? noRules;
}

/** Names are DNS subdomains unless the kind says otherwise. */
export function nameProblemOf(group: string, kind: string): (name: string) => string | undefined {
  if (group === 'rbac.authorization.k8s.io') return pathSegmentProblem;
  if (group === '' && kind === 'Service') return dns1035LabelProblem;
  if (group === '' && kind === 'Namespace') return namespaceNameProblem;
  return dns1123SubdomainProblem;
}

function namespaceNameProblem(name: string): string | undefined {
  return name.includes('.') ? 'must not contain dots' : dns1123LabelProblem(name);
}

function noRules(): FieldError[] {
  return [];
}
