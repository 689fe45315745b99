import type { Container, PodSpec, PodTemplateSpec } from '../api/kubernetes-types.ts';
import { annotation, component, label } from '../api/names.ts';
import { withoutExplicitProxy } from './explicit-proxy.ts';

/**
 * Takes out of a template what an injection put in. A variable `POD_IP` stays: whether the app had it before is not to be seen, and one too many does nothing.
 */
export function withoutSidecar(template: PodTemplateSpec): PodTemplateSpec {
  const { metadata: { labels, annotations, ...meta } = {}, spec } = template;
  const { [label.controlPlaneNs]: _ns, [label.proxyWorkload]: _workload, ...ownLabels } = labels ?? {};
  const {
    [annotation.proxyVersion]: _version,
    [annotation.injectedBy]: _by,
    ...ownAnnotations
  } = annotations ?? {};
  const sidecar = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])].find(isSidecar);
  return {
    ...template,
    metadata: {
      ...meta,
      ...unlessEmpty('labels', ownLabels),
      ...unlessEmpty('annotations', withoutDefaultContainer(ownAnnotations, spec?.containers ?? [])),
    },
    ...(spec === undefined || sidecar === undefined ? {} : { spec: bareSpec(spec, sidecar) }),
  };
}

/** A member that holds something, to be spread into an object. */
export function unlessEmpty<K extends string, T extends object>(name: K, value: T): { [P in K]?: T } {
  return Object.keys(value).length === 0 ? {} : ({ [name]: value } as { [P in K]: T });
}

function bareSpec(spec: PodSpec, sidecar: Container): PodSpec {
  const mounted = new Set(sidecar.volumeMounts?.map(({ name }) => name));
  const { initContainers = [], containers, volumes = [], ...rest } = spec;
  return {
    ...rest,
    ...unlessEmpty('initContainers', bare(initContainers)),
    containers: bare(containers),
    ...unlessEmpty(
      'volumes',
      volumes.filter(({ name }) => !mounted.has(name)),
    ),
  };
}

function bare(containers: readonly Container[]): Container[] {
  return containers
    .filter((container) => !isSidecar(container) && container.name !== component.redirect)
    .map(withoutExplicitProxy);
}

function isSidecar({ name }: Container): boolean {
  return name === component.proxy;
}

/** Beside the app's containers a sidecar comes with the name of the one that kubectl is to choose; without it that goes without saying. */
function withoutDefaultContainer(
  annotations: Record<string, string>,
  containers: readonly Container[],
): Record<string, string> {
  const { [annotation.defaultContainer]: named, ...others } = annotations;
  const first = containers.find((container) => !isSidecar(container))?.name;
  const isOurs = containers.some(isSidecar) && named === first;
  return isOurs ? others : annotations;
}
