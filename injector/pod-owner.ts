import type { KubernetesObject, OwnerReference, Pod } from '../api/kubernetes-types.ts';
import { errorMessage, type Log } from '../kubernetes/log.ts';
import { resources } from '../kubernetes/resources.ts';
import type { KubernetesClient } from '../kubernetes/types.ts';

/** Owners remembered: a rollout makes many pods of one ReplicaSet. */
const MAX_OWNERS = 1_000;

/** What people look at when something is wrong with a pod. Never rejects. */
export type PodOwner = (pod: Pod, namespace: string) => Promise<KubernetesObject>;

/** Finds the Deployment behind a pod's ReplicaSet, else what controls the pod, else the pod itself. Remembers what it has found. */
export function createPodOwner(client: KubernetesClient, log: Log): PodOwner {
  const owners = new Map<string, Promise<KubernetesObject>>();
  return (pod, namespace) => {
    const controller = controllerOf(pod);
    if (controller === undefined) return Promise.resolve(itself(pod, namespace));
    const owner = owners.get(controller.uid) ?? readOwner(client, controller, namespace, log);
    owners.set(controller.uid, owner);
    const [oldest] = owners.keys();
    if (owners.size > MAX_OWNERS && oldest !== undefined) owners.delete(oldest);
    return owner;
  };
}

/** What controls a pod directly. */
export function controllerOf(pod: Pod): OwnerReference | undefined {
  return pod.metadata?.ownerReferences?.find((owner) => owner.controller === true);
}

async function readOwner(
  client: KubernetesClient,
  controller: OwnerReference,
  namespace: string,
  log: Log,
): Promise<KubernetesObject> {
  if (controller.kind !== 'ReplicaSet') return referenced(controller, namespace);
  try {
    const replicaSet = await client.get(resources.replicaSets, namespace, controller.name);
    const parent = replicaSet.metadata?.ownerReferences?.find((owner) => owner.controller === true);
    return referenced(parent ?? controller, namespace);
  } catch (error) {
    log.debug({ error: errorMessage(error), replicaSet: controller.name }, "a pod's owner could not be read");
    return referenced(controller, namespace);
  }
}

function referenced(owner: OwnerReference, namespace: string): KubernetesObject {
  return {
    apiVersion: owner.apiVersion,
    kind: owner.kind,
    metadata: { name: owner.name, namespace, uid: owner.uid },
  };
}

function itself({ metadata }: Pod, namespace: string): KubernetesObject {
  const { name = '', uid } = metadata ?? {};
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, ...(uid === undefined ? {} : { uid }) },
  };
}
