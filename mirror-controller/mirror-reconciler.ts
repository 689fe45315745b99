import type { EndpointSlice, KubernetesObject, Service } from '../api/kubernetes-types.ts';
import { component, label, mirrorServiceName } from '../api/names.ts';
import type { Outcome } from '../kubernetes/controller.ts';
import { errorMessage } from '../kubernetes/log.ts';
import { keyOf, splitKey } from '../kubernetes/object-key.ts';
import { resources } from '../kubernetes/resources.ts';
import { KubernetesError } from '../kubernetes/types.ts';
import type { KubernetesClient } from '../kubernetes/types.ts';
import type { LinkSettings } from './link-settings.ts';
import type { MirrorStatus } from './messages.ts';
import {
  correctedService,
  correctedSlice,
  desiredService,
  desiredSlices,
  isOwnMirror,
  serviceProblem,
  writtenReadiness,
} from './mirror-objects.ts';
import type { GatewayView, Unmirrored } from './mirror-objects.ts';

/** What is known of the target. */
export interface RemoteView {
  /** False before the first list, or when it is not the cluster that the Link names: then nothing is made or removed. */
  trusted(): boolean;
  /** An exported service. */
  service(key: string): Service | undefined;
  hasEndpoints(key: string): boolean;
}

/** What is known of this cluster's own objects. */
export interface LocalView {
  mirror(namespace: string, name: string): Service | undefined;
  slices(namespace: string, mirrorName: string): EndpointSlice[];
  namespaceExists(namespace: string): boolean;
}

export interface MirrorReconcilerOptions {
  settings: LinkSettings;
  client: KubernetesClient;
  remote: RemoteView;
  local: LocalView;
  gateway: () => GatewayView;
  /** Told the outcome for a service; undefined: it is not exported. */
  report: (key: string, status: MirrorStatus | undefined) => void;
  /** Called when a slice that was there had to be changed. */
  repaired: () => void;
}

/** Milliseconds. */
const CONFLICT_RETRY_MS = 30_000;
const WRITE = { fieldManager: component.mirrorController };

/** Brings the mirror of one exported service to what it should be, from whatever state it is in. */
export class MirrorReconciler {
  readonly #options: MirrorReconcilerOptions;

  constructor(options: MirrorReconcilerOptions) {
    this.#options = options;
  }

  /** `key` is `namespace/name` of the service in the target. Throws on a failed call; calling again continues. */
  async reconcile(key: string): Promise<Outcome> {
    const { remote, settings } = this.#options;
    if (!remote.trusted()) {
      await this.#refreshKnownMirror(key);
      return { kind: 'done' };
    }
    const service = remote.service(key);
    if (service === undefined || service.metadata?.labels?.[label.mirroredService] !== undefined) {
      await this.#removeMirror(key);
      this.#options.report(key, undefined);
      return { kind: 'done' };
    }
    const problem =
      serviceProblem(service, settings) ??
      this.#namespaceProblem(service) ??
      (await this.#ensure(key, service));
    if (problem?.reason === 'InvalidService') await this.#removeMirror(key);
    this.#report(key, problem);
    // Services of others are not watched: only asking again shows that the name is free.
    return problem?.reason === 'NameConflict' ? { kind: 'after', ms: CONFLICT_RETRY_MS } : { kind: 'done' };
  }

  async #ensure(key: string, remote: Service): Promise<Unmirrored | undefined> {
    try {
      return await this.#write(key, remote);
    } catch (error) {
      // A conflict only says that the cache was behind; the next try has caught up.
      if (!isConflict(error)) this.#report(key, { reason: 'Error', message: errorMessage(error) });
      throw error;
    }
  }

  async #write(key: string, remote: Service): Promise<Unmirrored | undefined> {
    const mirror = await this.#ensureService(desiredService(remote, this.#options.settings));
    if (mirror === undefined) {
      const name = mirrorServiceName(remote.metadata?.name ?? '', this.#options.settings.target);
      const message = `the Service "${name}" exists here already and is not a mirror of this link; rename or delete it`;
      return { reason: 'NameConflict', message };
    }
    await this.#ensureSlices(mirror, this.#options.remote.hasEndpoints(key));
    return undefined;
  }

  /** The mirror as the server has it; undefined when its name belongs to someone else. */
  async #ensureService(desired: Service): Promise<Service | undefined> {
    const { client, local } = this.#options;
    const { namespace = '', name = '' } = desired.metadata ?? {};
    const cached = local.mirror(namespace, name);
    const live = cached ?? (await this.#createOrGet(desired));
    if (!this.#isMine(live)) return undefined;
    const corrected = correctedService(live, desired);
    return corrected === undefined ? live : client.replace(resources.services, corrected, WRITE);
  }

  async #createOrGet(desired: Service): Promise<Service> {
    const { client } = this.#options;
    try {
      return await client.create(resources.services, desired, WRITE);
    } catch (error) {
      if (!isConflict(error)) throw error;
      return client.get(resources.services, desired.metadata?.namespace, desired.metadata?.name ?? '');
    }
  }

  async #ensureSlices(mirror: Service, hasEndpoints: boolean): Promise<void> {
    const { local, settings, client } = this.#options;
    const { namespace = '', name = '' } = mirror.metadata ?? {};
    const live = new Map(local.slices(namespace, name).map((s) => [s.metadata?.name ?? '', s]));
    for (const desired of desiredSlices(
      mirror,
      settings,
      this.#options.gateway(),
      hasEndpoints,
      this.#ready([...live.values()]),
    )) {
      const old = live.get(desired.metadata?.name ?? '');
      live.delete(desired.metadata?.name ?? '');
      if (old === undefined || old.addressType !== desired.addressType) await this.#createSlice(desired, old);
      else await this.#correctSlice(old, desired);
    }
    for (const surplus of live.values())
      await ignoreMissing(client.delete(resources.endpointSlices, namespace, surplus.metadata?.name ?? ''));
  }

  /** A slice's address type never changes: one with another type makes way. */
  async #createSlice(desired: EndpointSlice, old: EndpointSlice | undefined): Promise<void> {
    const { client } = this.#options;
    if (old !== undefined) {
      await ignoreMissing(
        client.delete(resources.endpointSlices, old.metadata?.namespace, old.metadata?.name ?? ''),
      );
    }
    try {
      await client.create(resources.endpointSlices, desired, WRITE);
    } catch (error) {
      if (!isConflict(error)) throw error;
      const { namespace, name = '' } = desired.metadata ?? {};
      await this.#correctSlice(await client.get(resources.endpointSlices, namespace, name), desired);
    }
  }

  async #correctSlice(live: EndpointSlice, desired: EndpointSlice): Promise<void> {
    const corrected = correctedSlice(live, desired);
    if (corrected === undefined) return;
    await this.#options.client.replace(resources.endpointSlices, corrected, WRITE);
    this.#options.repaired();
  }

  /** Until the first verdict what was last written stays; a mirror without history starts ready, since failing fast without need is worse. */
  #ready(slices: readonly EndpointSlice[]): boolean {
    return this.#options.gateway().alive ?? writtenReadiness(slices) ?? true;
  }

  /** The target can not be asked: its mirrors stay, and only follow the gateway. */
  async #refreshKnownMirror(key: string): Promise<void> {
    const { local, settings } = this.#options;
    const { namespace = '', name } = splitKey(key);
    const mirror = local.mirror(namespace, mirrorServiceName(name, settings.target));
    if (mirror === undefined || this.#options.gateway().addresses.length === 0) return;
    const slices = local.slices(namespace, mirror.metadata?.name ?? '');
    await this.#ensureSlices(
      mirror,
      slices.length === 0 || slices.some((s) => (s.endpoints ?? []).length > 0),
    );
  }

  async #removeMirror(key: string): Promise<void> {
    const { local, settings, client } = this.#options;
    const { namespace = '', name } = splitKey(key);
    const mirrorName = mirrorServiceName(name, settings.target);
    for (const slice of local.slices(namespace, mirrorName)) {
      await ignoreMissing(client.delete(resources.endpointSlices, namespace, slice.metadata?.name ?? ''));
    }
    const mirror = local.mirror(namespace, mirrorName);
    if (mirror === undefined || !this.#isMine(mirror)) return;
    await ignoreMissing(client.delete(resources.services, namespace, mirrorName, preconditions(mirror)));
  }

  #namespaceProblem(service: Service): Unmirrored | undefined {
    const { namespace = '' } = service.metadata ?? {};
    if (this.#options.local.namespaceExists(namespace)) return undefined;
    const message = `the namespace "${namespace}" does not exist in this cluster; create it and the service is mirrored`;
    return { reason: 'MissingNamespace', message };
  }

  #isMine(service: Service): boolean {
    return (
      isOwnMirror(service) &&
      service.metadata?.labels?.[label.mirrorCluster] === this.#options.settings.target
    );
  }

  #report(key: string, problem: Unmirrored | undefined): void {
    const { namespace = '', name } = splitKey(key);
    const localName = mirrorServiceName(name, this.#options.settings.target);
    this.#options.report(key, { namespace, remoteName: name, localName, problem });
  }
}

/** The key of the remote service that a local mirror (or its slice) stands for. */
export function keyOfMirror(namespace: string | undefined, mirrorName: string, target: string): string {
  return keyOf(namespace, mirrorName.slice(0, -(target.length + 1)));
}

function isConflict(error: unknown): boolean {
  return error instanceof KubernetesError && error.code === 409;
}

function preconditions(object: KubernetesObject): { preconditions?: { uid: string } } {
  const uid = object.metadata?.uid;
  return uid === undefined ? {} : { preconditions: { uid } };
}

async function ignoreMissing(call: Promise<void>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (!(error instanceof KubernetesError) || error.code !== 404) throw error;
  }
}
