import type { StoredObject } from '../../types.ts';
import { bindingCells, eventCells, leaseCells, namespaceCells, nodeCells } from './cluster-cells.ts';
import {
  configMapCells,
  disruptionBudgetCells,
  priorityClassCells,
  secretCells,
  serviceAccountCells,
  webhookConfigurationCells,
} from './config-cells.ts';
import { endpointsCells, endpointSliceCells, serviceCells } from './network-cells.ts';
import { podCells } from './pod-cells.ts';
import {
  cronJobCells,
  daemonSetCells,
  deploymentCells,
  jobCells,
  replicaSetCells,
  statefulSetCells,
} from './workload-cells.ts';

/** The cells of one row, in the order of the kind's columns. `now` in ms since the epoch. */
export type Cells = (object: StoredObject, now: number) => unknown[];

const cells: Readonly<Record<string, Cells>> = {
  '/ConfigMap': configMapCells,
  '/Endpoints': endpointsCells,
  '/Event': eventCells,
  '/Namespace': namespaceCells,
  '/Node': nodeCells,
  '/Pod': podCells,
  '/Secret': secretCells,
  '/Service': serviceCells,
  '/ServiceAccount': serviceAccountCells,
  'admissionregistration.k8s.io/MutatingWebhookConfiguration': webhookConfigurationCells,
  'admissionregistration.k8s.io/ValidatingWebhookConfiguration': webhookConfigurationCells,
  'apps/DaemonSet': daemonSetCells,
  'apps/Deployment': deploymentCells,
  'apps/ReplicaSet': replicaSetCells,
  'apps/StatefulSet': statefulSetCells,
  'batch/CronJob': cronJobCells,
  'batch/Job': jobCells,
  'coordination.k8s.io/Lease': leaseCells,
  'discovery.k8s.io/EndpointSlice': endpointSliceCells,
  'events.k8s.io/Event': eventCells,
  'policy/PodDisruptionBudget': disruptionBudgetCells,
  'rbac.authorization.k8s.io/ClusterRoleBinding': bindingCells,
  'rbac.authorization.k8s.io/RoleBinding': bindingCells,
  'scheduling.k8s.io/PriorityClass': priorityClassCells,
};

/** Undefined for kinds of which the table shows no more than can be read off the columns. */
export function cellsOf(group: string, kind: string): Cells | undefined {
  return cells[`${group}/${kind}`];
}
