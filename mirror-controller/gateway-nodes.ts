import { isDeepStrictEqual } from 'node:util';
import type { Pod, Service } from '../api/kubernetes-types.ts';
import { annotation, component, GATEWAY_PORT_NAME, label } from '../api/names.ts';
import type { BackoffBounds, Clock } from '../kubernetes/clock.ts';
import { Controller } from '../kubernetes/controller.ts';
import type { ControllerMetrics, Outcome } from '../kubernetes/controller.ts';
import { keepOnly } from '../kubernetes/keep-only.ts';
import type { Log } from '../kubernetes/log.ts';
import { keyOf } from '../kubernetes/object-key.ts';
import { createReflector } from '../kubernetes/reflector.ts';
import type { Reflector, ReflectorMetrics } from '../kubernetes/reflector.ts';
import { resources } from '../kubernetes/resources.ts';
import type { KubernetesClient } from '../kubernetes/types.ts';

export interface GatewayNodesOptions {
  client: KubernetesClient;
  meshNamespace: string;
  clock: Clock;
  random: () => number;
  logger: Log;
  backoff?: BackoffBounds;
  controllerMetrics?: ControllerMetrics;
  reflectorMetrics?: ReflectorMetrics;
}

/** A failed write is tried again at least this often. */
const MAX_RETRY_MS = 30_000;

/**
 * Tells on this cluster's gateway Service at which nodes the gateway runs, for as long as no load balancer gives it an
 * address: linked clusters then go to those nodes and its node port. They read Services anyway, so that no right to
 * read nodes is needed on either side.
 */
export class GatewayNodes {
  readonly #options: GatewayNodesOptions;
  readonly #service: Reflector<Service>;
  readonly #pods: Reflector<Pod>;
  readonly #controller: Controller;

  constructor(options: GatewayNodesOptions) {
    const { client, meshNamespace, clock, random, logger, backoff } = options;
    this.#options = options;
    const follow = {
      namespace: meshNamespace,
      clock,
      random,
      logger,
      ...(backoff === undefined ? {} : { backoff }),
      ...(options.reflectorMetrics === undefined ? {} : { metrics: options.reflectorMetrics }),
    };
    this.#service = createReflector(client, resources.services, {
      ...follow,
      fieldSelector: `metadata.name=${component.gateway}`,
    });
    this.#pods = createReflector(client, resources.pods, {
      ...follow,
      labelSelector: `${label.component}=${component.gateway}`,
      transform: onlyPlace,
    });
    this.#controller = new Controller({
      name: 'gateway-nodes',
      reconcile: () => this.#reconcile(),
      maxDelayMs: MAX_RETRY_MS,
      clock,
      logger,
      ...(options.controllerMetrics === undefined ? {} : { metrics: options.controllerMetrics }),
    });
  }

  /** Runs until `signal` aborts; what was told stays. */
  async run(signal: AbortSignal): Promise<void> {
    const key = keyOf(this.#options.meshNamespace, component.gateway);
    const look = (): void => this.#controller.enqueue(key);
    this.#service.subscribe({ add: look, update: look, delete: look });
    this.#pods.subscribe({ add: look, update: look, delete: look });
    const reflectors = [this.#service, this.#pods];
    for (const reflector of reflectors) reflector.start();
    const ended = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve(), { once: true });
    });
    await Promise.race([ended, Promise.all(reflectors.map((r) => r.synced))]);
    if (!signal.aborted) this.#controller.start();
    await ended;
    await this.#controller.stop();
    await Promise.all(reflectors.map((r) => r.stop()));
  }

  async #reconcile(): Promise<Outcome> {
    const { client, meshNamespace } = this.#options;
    const known = this.#service.get(keyOf(meshNamespace, component.gateway));
    if (known === undefined || withNodes(known, this.#pods.list()) === undefined) return { kind: 'done' };
    // Not what the cache holds: that lacks what others have noted for themselves.
    const live = await client.get(resources.services, meshNamespace, component.gateway);
    const next = withNodes(live, this.#pods.list());
    if (next !== undefined) {
      await client.replace(resources.services, next, { fieldManager: component.mirrorController });
    }
    return { kind: 'done' };
  }
}

/** The Service with the nodes it should name; undefined when it names them. */
export function withNodes(service: Service, pods: readonly Pod[]): Service | undefined {
  const annotations = desiredAnnotations(service, pods);
  if (isDeepStrictEqual(annotations, service.metadata?.annotations ?? {})) return undefined;
  return { ...service, metadata: { ...service.metadata, annotations } };
}

/** Nodes without a gateway pod lead to it too (kube-proxy): a gateway that runs nowhere just now keeps the nodes it had. */
function desiredAnnotations(service: Service, pods: readonly Pod[]): Record<string, string> {
  const annotations = { ...service.metadata?.annotations };
  if (!needsNodes(service)) {
    delete annotations[annotation.gatewayNodes];
    return annotations;
  }
  const nodes = new Set(pods.filter(isPlaced).flatMap(hostAddresses));
  if (nodes.size > 0) annotations[annotation.gatewayNodes] = [...nodes].sort().join(',');
  return annotations;
}

function needsNodes({ spec, status }: Service): boolean {
  const nodePort = spec?.ports?.find((p) => p.name === GATEWAY_PORT_NAME)?.nodePort;
  return nodePort !== undefined && (status?.loadBalancer?.ingress ?? []).length === 0;
}

function isPlaced({ metadata, status }: Pod): boolean {
  const ended = status?.phase === 'Succeeded' || status?.phase === 'Failed';
  return metadata?.deletionTimestamp === undefined && !ended;
}

function hostAddresses({ status }: Pod): string[] {
  const all = status?.hostIPs?.map((host) => host.ip) ?? [];
  return all.length > 0 || status?.hostIP === undefined ? all : [status.hostIP];
}

function onlyPlace({ metadata = {}, status }: Pod): Pod {
  return { metadata, status: keepOnly(status ?? {}, ['phase', 'hostIP', 'hostIPs']) };
}
