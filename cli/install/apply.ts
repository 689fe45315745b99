import { setTimeout as delay } from 'node:timers/promises';
import { FIELD_MANAGER } from '../../api/names.ts';
import type { CustomResourceDefinition, KubernetesObject } from '../../api/kubernetes-types.ts';
import { resources } from '../../kubernetes/resources.ts';
import { type KubernetesClient, KubernetesError, type Resource } from '../../kubernetes/types.ts';
import { resourceFor, servedKinds } from '../discovery.ts';
import { UserError } from '../errors.ts';
import { waitFor } from '../wait.ts';
import { isOurs } from './manifests.ts';

/**
 * ms in which all replicas of an API server come to know of a namespace, or of a kind that another one serves already:
 * a second or two, and more on a busy machine. Nothing else that is applied is answered with 404, since applying makes
 * what is not there.
 */
const KNOWN_EVERYWHERE_MS = 5_000;
/** ms between tries. */
const TRY_EVERY_MS = 250;

/** What is in it goes first: pods end within their grace period, a gateway's is a minute. */
const GOING_TIMEOUT_MS = 120_000;

/**
 * Server-side apply of each object, in order, taking our own fields over from whoever changed them. Objects of namespaced kinds that name no namespace go to
 * `namespace`. A replica of the API server that does not know the kind or the namespace yet is given a moment.
 */
export async function applyObjects(
  client: KubernetesClient,
  objects: readonly KubernetesObject[],
  namespace = 'default',
): Promise<void> {
  for (const object of objects) {
    try {
      const resource = await resourceFor(client, object);
      await applyOne(client, resource, resource.namespaced ? inNamespace(object, namespace) : object);
    } catch (error) {
      if (error instanceof KubernetesError && error.code === 422) {
        throw new UserError(
          `${object.kind} ${object.metadata?.name} is not accepted: ${error.message}`,
          undefined,
          {
            cause: error,
          },
        );
      }
      throw error;
    }
  }
}

async function applyOne(
  client: KubernetesClient,
  resource: Resource,
  object: KubernetesObject,
): Promise<void> {
  const deadline = performance.now() + KNOWN_EVERYWHERE_MS;
  for (;;) {
    try {
      await client.apply(resource, object, { fieldManager: FIELD_MANAGER, force: true });
      return;
    } catch (error) {
      const isUnknown = error instanceof KubernetesError && error.code === 404;
      if (!isUnknown || performance.now() > deadline) throw error;
      await delay(TRY_EVERY_MS);
    }
  }
}

function inNamespace(object: KubernetesObject, namespace: string): KubernetesObject {
  return { ...object, metadata: { namespace, ...object.metadata } };
}

/** Deletes an object; one that is not there is fine. */
export async function deleteObject(client: KubernetesClient, object: KubernetesObject): Promise<void> {
  const { name = '', namespace } = object.metadata ?? {};
  await deleteNamed(client, await resourceFor(client, object), namespace, name);
}

/** As deleteObject, by resource and name. */
export async function deleteNamed(
  client: KubernetesClient,
  resource: Resource,
  namespace: string | undefined,
  name: string,
): Promise<void> {
  try {
    await client.delete(resource, namespace, name, { propagationPolicy: 'Background' });
  } catch (error) {
    if (!(error instanceof KubernetesError && error.code === 404)) throw error;
  }
}

/**
 * Resolves when an object is not on its way out any more: what is applied to it, or made in it, would go with it. One
 * that is not deleted, or not there, is not waited for. Throws a UserError when it takes too long.
 */
export async function departed<T extends KubernetesObject>(
  client: KubernetesClient,
  resource: Resource<T>,
  name: string,
): Promise<void> {
  await waitFor(
    `${resource.kind} ${name}, which is being deleted, to go`,
    async () => {
      try {
        const { metadata } = await client.get(resource, undefined, name);
        return metadata?.deletionTimestamp === undefined;
      } catch (error) {
        if (error instanceof KubernetesError && error.code === 404) return true;
        throw error;
      }
    },
    {
      timeoutMs: GOING_TIMEOUT_MS,
      hint: `See what keeps it with \`kubectl get ${resource.plural} ${name} -o yaml\`, then do this again.`,
    },
  );
}

/**
 * Installs the CRDs: ours always, those of the standards only where they are absent. Waits until all are served, which
 * an API server does a moment after it has called them established.
 */
export async function applyCustomResourceDefinitions(
  client: KubernetesClient,
  crds: readonly CustomResourceDefinition[],
): Promise<void> {
  for (const crd of crds) {
    // An uninstall, or a person, may just have deleted it: it is served until it is gone.
    await departed(client, resources.customResourceDefinitions, crd.metadata?.name ?? '');
    if (isOurs(crd)) await applyObjects(client, [crd]);
    else await createIfAbsent(client, crd);
  }
  await allServed(client, crds);
}

/** Resolves when discovery names the kinds that these CRDs define. Throws a UserError for one that takes too long. */
export async function allServed(
  client: KubernetesClient,
  crds: readonly CustomResourceDefinition[],
): Promise<void> {
  const names = crds.map(({ metadata }) => metadata?.name ?? '');
  await Promise.all(
    names.map((name) =>
      waitFor(`CustomResourceDefinition ${name} to be established and served`, async () => {
        const live = await client.get(resources.customResourceDefinitions, undefined, name);
        return isEstablished(live) && (await isServed(client, live));
      }),
    ),
  );
}

function isEstablished({ status }: CustomResourceDefinition): boolean {
  return status?.conditions?.some((c) => c.type === 'Established' && c.status === 'True') === true;
}

async function isServed(client: KubernetesClient, { spec }: CustomResourceDefinition): Promise<boolean> {
  const { groups } = await client.raw<{ groups: { name: string }[] }>('GET', '/apis');
  if (!groups.some(({ name }) => name === spec.group)) return false;
  const versions = spec.versions.filter(({ served }) => served);
  const kinds = await Promise.all(
    versions.map(({ name }) => servedKinds(client, `/apis/${spec.group}/${name}`)),
  );
  return kinds.every((list) => list.some(({ name }) => name === spec.names.plural));
}

async function createIfAbsent(client: KubernetesClient, object: KubernetesObject): Promise<void> {
  try {
    await client.create(await resourceFor(client, object), object, { fieldManager: FIELD_MANAGER });
  } catch (error) {
    if (!(error instanceof KubernetesError && error.code === 409)) throw error;
  }
}
