import type { ConfigMap, Namespace, Pod, Secret } from '../api/kubernetes-types.ts';
import type { TrustBundle } from '../api/isthmus-types.ts';
import { label, object } from '../api/names.ts';
import { keepOnly } from '../kubernetes/keep-only.ts';
import { createReflector, type Reflector, type ReflectorOptions } from '../kubernetes/reflector.ts';
import { resources } from '../kubernetes/resources.ts';
import type { KubernetesClient } from '../kubernetes/types.ts';

/** What the identity part sees of its cluster. */
export interface Watched {
  /** The issuer's alone. */
  readonly secrets: Reflector<Secret>;
  readonly bundles: Reflector<TrustBundle>;
  readonly namespaces: Reflector<Namespace>;
  /** Trust roots, in all namespaces. */
  readonly configMaps: Reflector<ConfigMap>;
  readonly meshedPods: Reflector<Pod>;
  /** Pods of the mesh's own namespace: the control plane's replicas among them. */
  readonly replicaPods: Reflector<Pod>;
}

/** Makes the reflectors; whoever uses them starts and stops them. */
export function watchIdentity(
  client: KubernetesClient,
  meshNamespace: string,
  reflect: Pick<ReflectorOptions<never>, 'logger' | 'clock'>,
): Watched {
  return {
    secrets: createReflector(client, resources.secrets, {
      ...reflect,
      namespace: meshNamespace,
      fieldSelector: `metadata.name=${object.issuerSecret}`,
    }),
    bundles: createReflector(client, resources.trustBundles, reflect),
    namespaces: createReflector(client, resources.namespaces, reflect),
    configMaps: createReflector(client, resources.configMaps, {
      ...reflect,
      fieldSelector: `metadata.name=${object.trustRootsConfigMap}`,
    }),
    meshedPods: createReflector(client, resources.pods, {
      ...reflect,
      labelSelector: `${label.controlPlaneNs}=${meshNamespace}`,
      transform: smallPod,
    }),
    replicaPods: createReflector(client, resources.pods, {
      ...reflect,
      namespace: meshNamespace,
      transform: smallPod,
    }),
  };
}

/** What is looked at here of a pod; there may be many. */
function smallPod({ metadata, spec, status }: Pod): Pod {
  return {
    metadata: keepOnly(metadata ?? {}, ['name', 'namespace', 'uid', 'resourceVersion', 'deletionTimestamp']),
    spec: { containers: [], ...keepOnly(spec ?? { containers: [] }, ['serviceAccountName']) },
    status: keepOnly(status ?? {}, ['phase']),
  };
}
