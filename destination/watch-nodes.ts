import type { Node } from '../api/kubernetes-types.ts';
import { label } from '../api/names.ts';
import { keepOnly } from '../kubernetes/keep-only.ts';
import { errorMessage, type Log, silentLog } from '../kubernetes/log.ts';
import { createReflector, type ReflectorMetrics, type ReflectorState } from '../kubernetes/reflector.ts';
import { resources } from '../kubernetes/resources.ts';
import type { KubernetesClient } from '../kubernetes/types.ts';

/** The watch of the cluster's Nodes. */
export interface NodeWatch {
  /** Resolves once the Nodes have been listed, or the first try has failed; never rejects. */
  readonly synced: Promise<void>;
  readonly hasSynced: boolean;
  stop(): Promise<void>;
}

/**
 * Follows the zones of Nodes, and nothing else of them. Nobody waits for it beyond the first try: an installation of an older version has no right to
 * see Nodes, and without zones everything works but what is about zones.
 * @param set is told the zone of each Node, undefined where it has none or is gone
 */
export function watchNodes(
  client: KubernetesClient,
  set: (name: string, zone: string | undefined) => void,
  options: { logger?: Log; metrics?: ReflectorMetrics } = {},
): NodeWatch {
  const { logger = silentLog, metrics } = options;
  const { promise: synced, resolve } = Promise.withResolvers<void>();
  let hasSynced = false;
  let failing = false;
  const settle = (): void => {
    hasSynced = true;
    resolve();
  };
  const reflector = createReflector(client, resources.nodes, {
    transform: onlyZone,
    ...(metrics === undefined ? {} : { metrics }),
    onState: (state: ReflectorState): void => {
      if (state.kind === 'watching') failing = false;
      if (state.kind !== 'backing-off') return;
      settle();
      // Without the right it fails every 30 s for good: once is enough.
      if (failing) return;
      failing = true;
      logger.warn(
        { error: errorMessage(state.error) },
        'Nodes cannot be followed: what proxies are told of zones is old or missing. Run `isthmus upgrade` if the right is missing',
      );
    },
  });
  const name = (node: Node): string => node.metadata?.name ?? '';
  reflector.subscribe({
    add: (node) => set(name(node), zoneOf(node)),
    update: (node) => set(name(node), zoneOf(node)),
    delete: (node) => set(name(node), undefined),
  });
  reflector.start();
  void reflector.synced.then(settle);
  return {
    synced,
    get hasSynced() {
      return hasSynced;
    },
    stop: () => reflector.stop(),
  };
}

function zoneOf(node: Node): string | undefined {
  const zone = node.metadata?.labels?.[label.zone];
  return zone === '' ? undefined : zone;
}

/** Statuses of Nodes name every image that they hold. */
function onlyZone({ metadata }: Node): Node {
  const zone = metadata?.labels?.[label.zone];
  return {
    metadata: {
      ...keepOnly(metadata ?? {}, ['name', 'resourceVersion']),
      ...(zone === undefined ? {} : { labels: { [label.zone]: zone } }),
    },
  };
}
