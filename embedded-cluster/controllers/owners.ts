import type { KubernetesObject, LabelSelector, OwnerReference } from '../../api/kubernetes-types.ts';
import type { LoopbackClient, StoredObject } from '../types.ts';
import { ignoring } from './controller.ts';
import { selectorMatches } from '../labels.ts';

/** The owner reference that marks `owner` as the controller of what it makes. */
export function controllerReference(owner: StoredObject): OwnerReference {
  return {
    apiVersion: owner.apiVersion,
    kind: owner.kind,
    name: owner.metadata.name ?? '',
    uid: owner.metadata.uid ?? '',
    controller: true,
    blockOwnerDeletion: true,
  };
}

/** The one owner that controls an object; undefined: nobody does. */
export function controllerOf(object: KubernetesObject): OwnerReference | undefined {
  return object.metadata?.ownerReferences?.find((owner) => owner.controller === true);
}

/** Key of the controller when it is of this kind: for sources that lead from what is owned to its owner. */
export function ownerKeys(kind: string): (object: StoredObject) => string[] {
  return (object) => {
    const owner = controllerOf(object);
    return owner?.kind === kind ? [`${object.metadata.namespace ?? ''}/${owner.name}`] : [];
  };
}

/**
 * The objects of `resource` in the owner's namespace that it controls. Those that match its selector and have no controller are adopted; those it controls
 * and that no longer match are let go.
 */
export async function claim(
  client: LoopbackClient,
  resource: string,
  owner: StoredObject,
  selector: LabelSelector | undefined,
): Promise<StoredObject[]> {
  const claimed: StoredObject[] = [];
  const { namespace = '', uid } = owner.metadata;
  for (const object of client.list(resource, { namespace }).items) {
    const controller = controllerOf(object);
    const matches = selectorMatches(selector, object.metadata.labels);
    const { name = '', ownerReferences = [], deletionTimestamp } = object.metadata;
    if (controller?.uid === uid) {
      if (matches) claimed.push(object);
      else {
        const others = ownerReferences.filter((reference) => reference.uid !== uid);
        await ignoring(['NotFound'], () =>
          client.patch(resource, namespace, name, {
            metadata: { uid: object.metadata.uid, ownerReferences: others },
          }),
        );
      }
    } else if (
      controller === undefined &&
      matches &&
      deletionTimestamp === undefined &&
      owner.metadata.deletionTimestamp === undefined
    ) {
      const references = [...ownerReferences, controllerReference(owner)];
      claimed.push(
        await client.patch(resource, namespace, name, {
          metadata: { uid: object.metadata.uid, ownerReferences: references },
        }),
      );
    }
  }
  return claimed;
}
