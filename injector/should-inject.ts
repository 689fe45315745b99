import type { ObjectMeta, Pod } from '../api/kubernetes-types.ts';
import { annotation, component, PROXY_UID } from '../api/names.ts';
import { proxyConfig } from './annotations.ts';
import type { ProxyMode } from './context.ts';

/** Why a pod gets no sidecar, by Linkerd's names. */
export type SkipCode =
  | 'host_network_enabled'
  | 'sidecar_already_exists'
  | 'injection_enable_annotation_absent'
  | 'injection_disable_annotation_present'
  | 'invalid_inject_annotation_at_workload'
  | 'invalid_inject_annotation_at_ns'
  | 'disabled_automount_service_account_token_account'
  | 'excluded_namespace'
  | 'proxy_uid_in_use';

/** Why a pod gets no sidecar. */
export interface Skipped {
  code: SkipCode;
  /** For people. */
  message: string;
}

/** Whether a pod gets a sidecar. */
export type InjectionDecision =
  /** `ingress`: the pod is an ingress controller, whose requests name their Services. */
  { inject: true; ingress: boolean } | { inject: false; skipped: Skipped };

/** Of the install's values, what decides over injection. */
export interface InjectionSettings {
  meshNamespace: string;
  proxyMode: ProxyMode;
  /** Where Linkerd's own control plane runs, `linkerd.io/inject` is its business. */
  ignoreLinkerdAnnotation: boolean;
}

/** Kubernetes' own workloads must come up without the mesh. */
const SYSTEM_NAMESPACE = 'kube-system';
/** Marks the API's picture of a static pod, which can't have a projected token. */
const MIRROR_POD_ANNOTATION = 'kubernetes.io/config.mirror';
const SIDECARS: readonly string[] = [component.proxy, 'linkerd-proxy', 'istio-proxy'];

/**
 * Decides by the annotations first (pod over namespace; on the same object ours over Linkerd's), then by what rules a sidecar out.
 * Injection is never assumed: without an annotation there is none.
 */
export function shouldInject(
  pod: Pod,
  namespace: { name: string; metadata?: ObjectMeta | undefined },
  settings: InjectionSettings,
): InjectionDecision {
  if (namespace.name === settings.meshNamespace || namespace.name === SYSTEM_NAMESPACE) {
    return skip('excluded_namespace', `pods of namespace ${namespace.name} are never injected`);
  }
  const asked = requested(pod.metadata, namespace.metadata, settings.ignoreLinkerdAnnotation);
  if ('code' in asked) return { inject: false, skipped: asked };
  return obstacle(pod) ?? sameUser(pod, namespace, settings) ?? { inject: true, ingress: asked.ingress };
}

function requested(
  pod: ObjectMeta | undefined,
  namespace: ObjectMeta | undefined,
  ignoreLinkerd: boolean,
): Skipped | { ingress: boolean } {
  const onPod = injectAnnotation(pod, ignoreLinkerd);
  const found = onPod ?? injectAnnotation(namespace, ignoreLinkerd);
  const where = onPod === undefined ? 'namespace' : 'pod';
  if (found === undefined) {
    return {
      code: 'injection_enable_annotation_absent',
      message: `neither the pod nor its namespace has the annotation "${annotation.inject}: enabled"`,
    };
  }
  switch (found.value) {
    case 'enabled':
    case 'ingress':
      return { ingress: found.value === 'ingress' };
    case 'disabled':
      return {
        code: 'injection_disable_annotation_present',
        message: `the ${where} has the annotation "${found.key}: disabled"`,
      };
    default:
      return {
        code:
          onPod === undefined ? 'invalid_inject_annotation_at_ns' : 'invalid_inject_annotation_at_workload',
        message: `the ${where}'s annotation ${found.key} is ${JSON.stringify(found.value)}: it must be "enabled", "ingress" or "disabled"`,
      };
  }
}

function injectAnnotation(
  meta: ObjectMeta | undefined,
  ignoreLinkerd: boolean,
): { key: string; value: string } | undefined {
  const keys = ignoreLinkerd ? [annotation.inject] : [annotation.inject, annotation.linkerdInject];
  for (const key of keys) {
    const value = meta?.annotations?.[key];
    if (value !== undefined) return { key, value };
  }
  return undefined;
}

/** What rules a sidecar out though it was asked for. */
function obstacle(pod: Pod): InjectionDecision | undefined {
  const spec = pod.spec;
  const containers = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])];
  const sidecar = containers.find(({ name }) => SIDECARS.includes(name));
  if (sidecar !== undefined) {
    return skip('sidecar_already_exists', `the pod has a sidecar already: container ${sidecar.name}`);
  }
  if (spec?.hostNetwork === true) {
    return skip('host_network_enabled', "the pod uses its node's network (hostNetwork)");
  }
  if (pod.metadata?.annotations?.[MIRROR_POD_ANNOTATION] !== undefined) {
    return skip(
      'disabled_automount_service_account_token_account',
      'the pod is a static pod, which can have no ServiceAccount token, so no identity',
    );
  }
  return undefined;
}

/** The rules tell the sidecar's connections by its user: an app of that user would pass the mesh by, unseen. */
function sameUser(
  pod: Pod,
  namespace: { metadata?: ObjectMeta | undefined },
  { proxyMode }: InjectionSettings,
): InjectionDecision | undefined {
  if (proxyMode !== 'redirect') return undefined;
  const uid = proxyConfig(pod.metadata, namespace.metadata).config.proxyUid ?? PROXY_UID;
  const containers = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
  const users = [pod.spec, ...containers].map((part) => part?.securityContext?.['runAsUser']);
  if (!users.includes(uid)) return undefined;
  return skip(
    'proxy_uid_in_use',
    `the pod runs as user ${uid}, which is the sidecar's: give the sidecar another by the annotation "config.isthmus.dev/proxy-uid"`,
  );
}

function skip(code: SkipCode, message: string): InjectionDecision {
  return { inject: false, skipped: { code, message } };
}
