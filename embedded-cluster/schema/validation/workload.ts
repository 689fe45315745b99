import { isDeepStrictEqual } from 'node:util';
import type {
  Deployment,
  DeploymentSpec,
  LabelSelector,
  PodTemplateSpec,
} from '../../../api/kubernetes-types.ts';
import type { StoredObject } from '../../types.ts';
import { forbidden, invalid, notSupported, required } from '../errors.ts';
import type { FieldError } from '../types.ts';
import { selectorMatches } from '../../labels.ts';
import { isEmptySelector, validateSelector } from './label-selector.ts';
import { intOrPercent, nonNegative } from './numbers.ts';
import { validatePodTemplate } from './pod.ts';

interface WorkloadSpec {
  replicas?: number;
  minReadySeconds?: number;
  revisionHistoryLimit?: number;
  selector?: LabelSelector;
  template?: PodTemplateSpec;
}

interface JobSpec extends WorkloadSpec {
  parallelism?: number;
  completions?: number;
  backoffLimit?: number;
  activeDeadlineSeconds?: number;
  ttlSecondsAfterFinished?: number;
}

/** A Deployment, with its strategy. */
export function validateDeployment(object: StoredObject, old: StoredObject | undefined): FieldError[] {
  const { spec } = object as Deployment;
  if (spec === undefined) return [required('spec.selector')];
  return [
    ...validateReplicated(spec, 'deployment'),
    ...validateStrategy(spec.strategy),
    ...nonNegative(spec.minReadySeconds, 'spec.minReadySeconds'),
    ...nonNegative(spec.revisionHistoryLimit, 'spec.revisionHistoryLimit'),
    ...validateProgressDeadline(spec),
    ...immutableSelector(spec, old),
  ];
}

export function validateReplicaSet(object: StoredObject, old: StoredObject | undefined): FieldError[] {
  const spec = specOf(object);
  return [
    ...validateReplicated(spec, 'replicaset'),
    ...nonNegative(spec.minReadySeconds, 'spec.minReadySeconds'),
    ...immutableSelector(spec, old),
  ];
}

export function validateStatefulSet(object: StoredObject, old: StoredObject | undefined): FieldError[] {
  const errors = validateReplicated(specOf(object), 'statefulset');
  if (old !== undefined && !isDeepStrictEqual(fixedOfStatefulSet(object), fixedOfStatefulSet(old))) {
    errors.push(
      forbidden(
        'spec',
        "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
      ),
    );
  }
  return errors;
}

export function validateDaemonSet(object: StoredObject, old: StoredObject | undefined): FieldError[] {
  const spec = specOf(object);
  return [...validateReplicated(spec, 'daemonset'), ...immutableSelector(spec, old)];
}

/** Jobs choose their own selector, so only the template and the numbers are theirs to get wrong. */
export function validateJob(object: StoredObject, old: StoredObject | undefined): FieldError[] {
  return validateJobSpec(specOf(object), 'spec', old === undefined ? undefined : specOf(old));
}

export function validateCronJob(object: StoredObject): FieldError[] {
  const spec = (object['spec'] ?? {}) as { schedule?: string; jobTemplate?: { spec?: JobSpec } };
  const errors = spec.schedule ? [] : [required('spec.schedule')];
  return [...errors, ...validateJobSpec(spec.jobTemplate?.spec ?? {}, 'spec.jobTemplate.spec', undefined)];
}

function validateJobSpec(spec: JobSpec, path: string, old: JobSpec | undefined): FieldError[] {
  const errors: FieldError[] = [];
  for (const field of [
    'parallelism',
    'completions',
    'activeDeadlineSeconds',
    'backoffLimit',
    'ttlSecondsAfterFinished',
  ] as const) {
    errors.push(...nonNegative(spec[field], `${path}.${field}`));
  }
  errors.push(...validatePodTemplate(spec.template, `${path}.template`));
  const policy = spec.template?.spec?.restartPolicy;
  if (policy === undefined || policy === 'Always') {
    errors.push(required(`${path}.template.spec.restartPolicy`, 'valid values: "OnFailure", "Never"'));
  }
  if (old !== undefined) {
    for (const field of ['completions', 'selector', 'template'] as const) {
      if (!isDeepStrictEqual(spec[field], old[field])) {
        errors.push(invalid(`${path}.${field}`, spec[field], 'field is immutable'));
      }
    }
  }
  return errors;
}

function validateReplicated(spec: WorkloadSpec, kind: string): FieldError[] {
  const { selector, template } = spec;
  const errors = nonNegative(spec.replicas, 'spec.replicas');
  const selectorErrors = validateSelector(selector, 'spec.selector');
  if (selector === undefined) errors.push(required('spec.selector'));
  else {
    errors.push(...selectorErrors);
    if (isEmptySelector(selector)) {
      errors.push(invalid('spec.selector', selector, `empty selector is invalid for ${kind}`));
    }
  }
  const labels = template?.metadata?.labels;
  if (selectorErrors.length > 0) errors.push(invalid('spec.selector', selector, 'invalid label selector'));
  else if (
    selector === undefined ||
    (!isEmptySelector(selector) && !selectorMatches(selector, labels ?? {}))
  ) {
    errors.push(
      invalid('spec.template.metadata.labels', labels, '`selector` does not match template `labels`'),
    );
  }
  errors.push(...validatePodTemplate(template, 'spec.template'));
  const policy = template?.spec?.restartPolicy;
  if (policy === 'Never' || policy === 'OnFailure') {
    errors.push(notSupported('spec.template.spec.restartPolicy', policy, ['Always']));
  }
  return errors;
}

function validateStrategy(strategy: DeploymentSpec['strategy']): FieldError[] {
  const rolling = strategy?.rollingUpdate;
  switch (strategy?.type) {
    case 'Recreate':
      return rolling === undefined
        ? []
        : [
            forbidden(
              'spec.strategy.rollingUpdate',
              "may not be specified when strategy `type` is 'Recreate'",
            ),
          ];
    case undefined:
    case 'RollingUpdate':
      return rolling === undefined ? [] : validateRollingUpdate(rolling);
    default:
      // The real server shows its own Go value here.
      return [
        notSupported('spec.strategy', { Type: strategy?.type, RollingUpdate: null }, [
          'Recreate',
          'RollingUpdate',
        ]),
      ];
  }
}

function validateRollingUpdate(
  rolling: NonNullable<NonNullable<DeploymentSpec['strategy']>['rollingUpdate']>,
): FieldError[] {
  const path = 'spec.strategy.rollingUpdate';
  const { maxSurge, maxUnavailable } = rolling;
  const errors = [
    ...intOrPercent(maxUnavailable, `${path}.maxUnavailable`),
    ...intOrPercent(maxSurge, `${path}.maxSurge`),
  ];
  if (isZero(maxUnavailable) && isZero(maxSurge)) {
    errors.push(invalid(`${path}.maxUnavailable`, maxUnavailable, 'may not be 0 when `maxSurge` is 0'));
  }
  if (
    typeof maxUnavailable === 'string' &&
    /^\d+%$/.test(maxUnavailable) &&
    parseInt(maxUnavailable, 10) > 100
  ) {
    errors.push(invalid(`${path}.maxUnavailable`, maxUnavailable, 'must not be greater than 100%'));
  }
  return errors;
}

function isZero(value: number | string | undefined): boolean {
  return value === 0 || value === '0%';
}

function validateProgressDeadline(spec: DeploymentSpec): FieldError[] {
  const { progressDeadlineSeconds: deadline, minReadySeconds = 0 } = spec;
  if (deadline === undefined) return [];
  const errors = nonNegative(deadline, 'spec.progressDeadlineSeconds');
  if (deadline <= minReadySeconds) {
    errors.push(invalid('spec.progressDeadlineSeconds', deadline, 'must be greater than minReadySeconds'));
  }
  return errors;
}

function immutableSelector(spec: { selector?: LabelSelector }, old: StoredObject | undefined): FieldError[] {
  if (old === undefined || isDeepStrictEqual(spec.selector, specOf(old).selector)) return [];
  return [invalid('spec.selector', spec.selector, 'field is immutable')];
}

function fixedOfStatefulSet(object: StoredObject): unknown {
  const { serviceName, selector, podManagementPolicy, volumeClaimTemplates } = (object['spec'] ??
    {}) as Record<string, unknown>;
  return { serviceName, selector, podManagementPolicy, volumeClaimTemplates };
}

function specOf(object: StoredObject): JobSpec {
  return object['spec'] ?? {};
}
