import type { KubernetesObject, OwnerReference, Pod } from '../api/kubernetes-types.ts';
import type { EventRecorder } from '../kubernetes/events.ts';
import { errorMessage, type Log } from '../kubernetes/log.ts';
import { resources } from '../kubernetes/resources.ts';
import type { KubernetesClient } from '../kubernetes/types.ts';
import type { Decision } from './admission.ts';

/** Owners remembered: a rollout admits many pods of one ReplicaSet. */
const MAX_OWNERS = 1_000;

/**
 * Tells what became of a pod as an Event on what owns it, as Linkerd does: `Injected` and `InjectionSkipped` on the Deployment, which people look at, rather than on a
 * pod that has no name yet. Pods that nobody asked to inject are not told of.
 */
export function createInjectionEvents(
  client: KubernetesClient,
  recorder: EventRecorder,
  log: Log,
): (decision: Decision) => void {
  const owners = new Map<string, Promise<KubernetesObject>>();
  return (decision) => {
    const controller = decision.pod.metadata?.ownerReferences?.find((owner) => owner.controller === true);
    const event = eventOf(decision);
    if (decision.dryRun || controller === undefined || event === undefined) return;
    const owner =
      owners.get(controller.uid) ?? ownerOf(client, decision.pod, decision.namespace, controller, log);
    owners.set(controller.uid, owner);
    const [oldest] = owners.keys();
    if (owners.size > MAX_OWNERS && oldest !== undefined) owners.delete(oldest);
    void owner.then((about) => recorder.record(about, 'Normal', event.reason, event.message));
  };
}

function eventOf({ result }: Decision): { reason: string; message: string } | undefined {
  if (result.injected) return { reason: 'Injected', message: 'Isthmus sidecar proxy injected' };
  const { code, message } = result.skipped;
  if (code === 'injection_enable_annotation_absent' || code === 'excluded_namespace') return undefined;
  return { reason: 'InjectionSkipped', message: `Isthmus sidecar proxy injection skipped: ${message}` };
}

/** The Deployment behind a ReplicaSet, else the direct owner. Never rejects. */
async function ownerOf(
  client: KubernetesClient,
  pod: Pod,
  podNamespace: string,
  controller: OwnerReference,
  log: Log,
): Promise<KubernetesObject> {
  const namespace = pod.metadata?.namespace ?? podNamespace;
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
