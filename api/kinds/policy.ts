/** policy/v1. */
import type { KubernetesObject, LabelSelector } from './meta.ts';

export interface PodDisruptionBudget extends KubernetesObject {
  spec?: {
    minAvailable?: number | string;
    maxUnavailable?: number | string;
    selector?: LabelSelector;
  };
}
