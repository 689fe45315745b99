import type { ConfigMap, Namespace, Pod } from '../api/kubernetes-types.ts';
import { annotation, label, object } from '../api/names.ts';
import type { Clock as KubernetesClock } from '../kubernetes/clock.ts';
import { Controller } from '../kubernetes/controller.ts';
import type { Log } from '../kubernetes/log.ts';
import type { Reflector } from '../kubernetes/reflector.ts';
import { resources } from '../kubernetes/resources.ts';
import type { KubernetesClient } from '../kubernetes/types.ts';
import type { BundleWatch } from './bundle-watch.ts';

const OWNER = 'isthmus-trust-roots';
/** Values of the injection annotation that ask for a sidecar. */
const INJECTING = new Set(['enabled', 'ingress']);

/**
 * Keeps the ConfigMap with the trust anchors in the mesh namespace and in every namespace that has meshed pods or asks for injection, and restores it where
 * someone changed or deleted it. It deletes none: a namespace that is no longer meshed may be again before its pods could be told.
 */
export class TrustRootsController {
  readonly #deps: TrustRootsDeps;
  readonly #controller: Controller;

  constructor(deps: TrustRootsDeps) {
    this.#deps = deps;
    this.#controller = new Controller({
      name: 'trust-roots',
      reconcile: async (namespace) => {
        await this.#reconcile(namespace);
        return { kind: 'done' };
      },
      logger: deps.log,
      ...(deps.clock === undefined ? {} : { clock: deps.clock }),
      maxDelayMs: 30_000,
    });
    const byNamespace = (held: { metadata?: { namespace?: string } }): void =>
      this.#enqueue(held.metadata?.namespace);
    const byName = (namespace: Namespace): void => this.#enqueue(namespace.metadata?.name);
    deps.namespaces.subscribe({ add: byName, update: byName });
    deps.meshedPods.addIndex('namespace', (pod) => [pod.metadata?.namespace ?? '']);
    deps.meshedPods.subscribe({ add: byNamespace });
    deps.configMaps.subscribe({ add: byNamespace, update: byNamespace, delete: byNamespace });
    deps.bundle.onChange(() => {
      for (const namespace of deps.namespaces.list()) this.#enqueue(namespace.metadata?.name);
    });
  }

  start(): void {
    this.#controller.start();
  }

  stop(): Promise<void> {
    return this.#controller.stop();
  }

  #enqueue(namespace: string | undefined): void {
    if (namespace !== undefined) this.#controller.enqueue(namespace);
  }

  async #reconcile(name: string): Promise<void> {
    const { namespaces, configMaps, bundle, client } = this.#deps;
    const namespace = namespaces.get(name);
    const anchors = bundle.current?.anchors;
    if (namespace === undefined || anchors === undefined || !this.#isWanted(namespace, name)) return;
    const pem = anchors.map((anchor) => anchor.toString()).join('');
    const present = configMaps.get(`${name}/${object.trustRootsConfigMap}`);
    if (present?.data?.[object.trustRootsKey] === pem) return;
    await client.apply(
      resources.configMaps,
      {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: object.trustRootsConfigMap, namespace: name, labels: { [label.managedBy]: OWNER } },
        data: { [object.trustRootsKey]: pem },
      },
      { fieldManager: OWNER, force: true },
    );
  }

  #isWanted(namespace: Namespace, name: string): boolean {
    if (namespace.metadata?.deletionTimestamp !== undefined) return false;
    const annotations = namespace.metadata?.annotations ?? {};
    const asked = annotations[annotation.inject] ?? annotations[annotation.linkerdInject] ?? '';
    return (
      name === this.#deps.meshNamespace ||
      INJECTING.has(asked) ||
      this.#deps.meshedPods.hasByIndex('namespace', name)
    );
  }
}

export interface TrustRootsDeps {
  client: KubernetesClient;
  namespaces: Reflector<Namespace>;
  meshedPods: Reflector<Pod>;
  /** Those named `isthmus-identity-trust-roots`, of all namespaces. */
  configMaps: Reflector<ConfigMap>;
  bundle: BundleWatch;
  meshNamespace: string;
  log: Log;
  clock?: KubernetesClock | undefined;
}
