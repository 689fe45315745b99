import { isDeepStrictEqual } from 'node:util';
import type { Pod, PodSpec, PodTemplateSpec } from '../../../api/kubernetes-types.ts';
import type { StoredObject } from '../../types.ts';
import { forbidden, invalid, notSupported, required } from '../errors.ts';
import type { FieldError } from '../types.ts';
import { validateContainer } from './container.ts';
import { validateAnnotations, validateLabels } from './metadata.ts';
import { dns1123LabelProblem, dns1123SubdomainProblem } from './names.ts';
import { validateVolumes } from './volume.ts';

/** In the real server's order. */
const restartPolicies = ['Always', 'OnFailure', 'Never'];
const dnsPolicies = ['ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None'];

export function validatePod(object: StoredObject, old: StoredObject | undefined): FieldError[] {
  const { spec } = object as Pod;
  if (spec === undefined) return [required('spec.containers')];
  const errors = validatePodSpec(spec, 'spec');
  if (old !== undefined && !isDeepStrictEqual(fixed(spec), fixed((old as Pod).spec))) {
    errors.push(
      forbidden(
        'spec',
        'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)',
      ),
    );
  }
  return errors;
}

/** A spec without what an update may change. */
function fixed(spec: PodSpec | undefined): unknown {
  if (spec === undefined) return undefined;
  const { activeDeadlineSeconds: _, tolerations: __, ...rest } = spec;
  const imageless = (containers: PodSpec['containers'] | undefined): unknown =>
    containers?.map(({ image: ___, ...container }) => container);
  return {
    ...rest,
    containers: imageless(rest.containers),
    initContainers: imageless(rest.initContainers),
  };
}

/** The template of a workload: metadata that its pods will have, and their spec. */
export function validatePodTemplate(template: PodTemplateSpec | undefined, path: string): FieldError[] {
  const errors = [
    ...validateLabels(template?.metadata?.labels, `${path}.metadata.labels`),
    ...validateAnnotations(template?.metadata?.annotations, `${path}.metadata.annotations`),
  ];
  if (template?.spec === undefined) errors.push(required(`${path}.spec.containers`));
  else errors.push(...validatePodSpec(template.spec, `${path}.spec`));
  return errors;
}

function validatePodSpec(spec: PodSpec, path: string): FieldError[] {
  const errors = validateVolumes(spec.volumes ?? [], `${path}.volumes`);
  const volumes = new Set((spec.volumes ?? []).map(({ name }) => name));
  const names = new Set<string>();
  const containers = (spec.containers as PodSpec['containers'] | undefined) ?? [];
  if (containers.length === 0) errors.push(required(`${path}.containers`));
  for (const [index, container] of containers.entries()) {
    const at = `${path}.containers[${index}]`;
    errors.push(...validateContainer(container, at, { role: 'regular', names, volumes }));
  }
  for (const [index, container] of (spec.initContainers ?? []).entries()) {
    const at = `${path}.initContainers[${index}]`;
    errors.push(...validateContainer(container, at, { role: 'init', names, volumes }));
  }
  if (spec.restartPolicy !== undefined && !restartPolicies.includes(spec.restartPolicy)) {
    errors.push(notSupported(`${path}.restartPolicy`, spec.restartPolicy, restartPolicies));
  }
  if (spec.dnsPolicy !== undefined && !dnsPolicies.includes(spec.dnsPolicy)) {
    errors.push(notSupported(`${path}.dnsPolicy`, spec.dnsPolicy, dnsPolicies));
  }
  const deadline = spec.activeDeadlineSeconds;
  if (deadline !== undefined && (deadline < 1 || deadline > 2 ** 31 - 1)) {
    errors.push(
      invalid(`${path}.activeDeadlineSeconds`, deadline, 'must be between 1 and 2147483647, inclusive'),
    );
  }
  return [
    ...errors,
    ...validateLabels(spec.nodeSelector, `${path}.nodeSelector`),
    ...validateNames(spec, path),
  ];
}

function validateNames(spec: PodSpec, path: string): FieldError[] {
  const checks: [string, string | undefined, (value: string) => string | undefined][] = [
    ['serviceAccountName', spec.serviceAccountName, dns1123SubdomainProblem],
    ['nodeName', spec.nodeName, dns1123SubdomainProblem],
    ['hostname', spec.hostname, dns1123LabelProblem],
    ['subdomain', spec.subdomain, dns1123LabelProblem],
  ];
  return checks.flatMap(([field, value, problemOf]) => {
    const problem = value ? problemOf(value) : undefined;
    return problem === undefined ? [] : [invalid(`${path}.${field}`, value, problem)];
  });
}
