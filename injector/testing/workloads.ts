import type { Deployment, KubernetesObject, PodTemplateSpec } from '../../api/kubernetes-types.ts';

export function deployment(): Deployment {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', namespace: 'shop' },
    spec: {
      selector: { matchLabels: { app: 'web' } },
      template: {
        metadata: { labels: { app: 'web' } },
        spec: { containers: [{ name: 'app', env: [{ name: 'OWN', value: 'x' }] }] },
      },
    },
  };
}

/** The part of a CronJob that injection looks at. */
export interface CronJobLike extends KubernetesObject {
  spec: { jobTemplate: { spec: { template: PodTemplateSpec } } };
}

export function cronJob(): CronJobLike {
  return {
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: { name: 'nightly' },
    spec: { jobTemplate: { spec: { template: { spec: { containers: [{ name: 'app' }] } } } } },
  };
}
