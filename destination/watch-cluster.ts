import type { KubernetesObject } from '../api/kubernetes-types.ts';
import type { Log } from '../kubernetes/log.ts';
import { objectKey } from '../kubernetes/object-key.ts';
import { createReflector, type Reflector, type ReflectorMetrics } from '../kubernetes/reflector.ts';
import { resources } from '../kubernetes/resources.ts';
import type { KubernetesClient, Resource } from '../kubernetes/types.ts';
import type { ClusterState } from './cluster-state.ts';
import { type KindReading, POLICY_KINDS, type PolicyKind, policyKinds } from './policy/kinds.ts';
import { followOptionalKind } from './policy/optional-kind.ts';
import { watchNodes } from './watch-nodes.ts';
import { trimPod } from './workload-pod.ts';

/** The reflectors that keep a ClusterState like its cluster. */
export interface ClusterWatch {
  /** Resolves once all that is watched has been listed; never rejects. */
  readonly synced: Promise<void>;
  readonly hasSynced: boolean;
  stop(): Promise<void>;
}

/** Starts to watch Services, EndpointSlices, Pods, Namespaces and the zones of Nodes, and the policy kinds that the cluster has. */
export function watchCluster(
  client: KubernetesClient,
  state: ClusterState,
  options: { logger?: Log; metrics?: ReflectorMetrics } = {},
): ClusterWatch {
  const follow = <T extends KubernetesObject>(
    resource: Resource<T>,
    set: (key: string, object: T | undefined) => void,
    transform?: (object: T) => T,
  ): Reflector<T> => {
    const reflector = createReflector(client, resource, {
      ...options,
      ...(transform === undefined ? {} : { transform }),
    });
    reflector.subscribe({
      add: (object) => set(objectKey(object), object),
      update: (object) => set(objectKey(object), object),
      delete: (object) => set(objectKey(object), undefined),
    });
    reflector.start();
    return reflector;
  };
  const followPolicies = (kind: PolicyKind) =>
    followOptionalKind(
      client,
      policyKinds[kind] as KindReading<KubernetesObject>,
      (key, object) => state.setPolicy(kind, key, object),
      // Not counted: series go by the resource, of which definitions and routes of two groups would be one.
      options.logger === undefined ? {} : { logger: options.logger },
    );
  const followed = [
    ...POLICY_KINDS.map(followPolicies),
    follow(resources.namespaces, (key, object) => state.setNamespace(key, object)),
    follow(resources.services, (key, object) => state.setService(key, object)),
    follow(resources.endpointSlices, (key, object) => state.setSlice(key, object)),
    watchNodes(client, (name, zone) => state.setZone(name, zone), options),
    follow(resources.pods, (key, object) => state.setPod(key, object), trimPod),
  ];
  return {
    synced: Promise.all(followed.map((one) => one.synced)).then(() => undefined),
    get hasSynced() {
      return followed.every((one) => one.hasSynced);
    },
    stop: async () => {
      await Promise.all(followed.map((one) => one.stop()));
    },
  };
}
