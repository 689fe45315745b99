import type { Container, ObjectMeta, Pod } from '../api/kubernetes-types.ts';
import { label } from '../api/names.ts';
import { type InjectionSettings, shouldInject } from './should-inject.ts';

/**
 * Whether a pod runs without the sidecar that it would get if it were made now: the webhook was away when it was made,
 * or its namespace was not meshed yet. `check` and the injector's own report go by this.
 */
export function lacksSidecar(
  pod: Pod,
  namespace: { name: string; metadata?: ObjectMeta | undefined },
  settings: InjectionSettings,
): boolean {
  const { phase } = pod.status ?? {};
  const isGoing =
    pod.metadata?.deletionTimestamp !== undefined || phase === 'Succeeded' || phase === 'Failed';
  // The webhook's own rule for whom it is not asked about.
  const isExcluded = namespace.metadata?.labels?.[label.disableInjection] === 'disabled';
  return !isGoing && !isExcluded && shouldInject(pod, namespace, settings).inject;
}

/** Selects the pods that no injection has gone through. */
export const WITHOUT_SIDECAR = `!${label.controlPlaneNs}`;

/** Keeps of a pod only what `lacksSidecar` and the search for its owner read: a cluster may have thousands that are none of the mesh's. */
export function trimUnmeshedPod(pod: Pod): Pod {
  const { name, namespace, uid, resourceVersion, annotations, ownerReferences, deletionTimestamp } =
    pod.metadata ?? {};
  const metadata = { name, namespace, uid, resourceVersion, annotations, ownerReferences, deletionTimestamp };
  const { spec, status } = pod;
  return {
    metadata: given(metadata),
    spec: {
      ...given({ hostNetwork: spec?.hostNetwork, securityContext: spec?.securityContext }),
      containers: (spec?.containers ?? []).map(trimContainer),
      initContainers: (spec?.initContainers ?? []).map(trimContainer),
    },
    status: given({ phase: status?.phase }),
  };
}

function trimContainer({ name, securityContext }: Container): Container {
  return { name, ...given({ securityContext }) };
}

type Given<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

function given<T extends object>(object: T): Given<T> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as Given<T>;
}
