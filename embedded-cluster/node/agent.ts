import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Pod } from '../../api/kubernetes-types.ts';
import type { PodLogRequest } from '../apiserver/index.ts';
import { ApiError } from '../types.ts';
import type { StoredObject } from '../types.ts';
import { readLogLines } from './log-reader.ts';
import type { NodeContext } from './node-context.ts';
import { PodWorker } from './pod-worker.ts';

/** A running kubelet. */
export interface NodeAgent {
  /** The log of a container, line by line; ends by itself unless `follow`. Throws an ApiError, in a kubelet's words, when there is none to give. */
  podLog(request: PodLogRequest): Promise<AsyncIterable<string>>;
  /** Begins to end every pod's processes within their grace, at most `limitMs`; pod objects stay as they are. Called again, it may only hurry. */
  beginStop(limitMs?: number): void;
  /** Resolves when all have ended. */
  stop(): Promise<void>;
}

/** Runs the pods that are bound to the node. What an earlier agent left running must have been ended (`ProcessRecords.killLeftovers`): nothing is adopted. */
export function startNodeAgent(node: NodeContext): NodeAgent {
  const workers = new Map<string, PodWorker>();
  const selector = { fieldSelector: `spec.nodeName=${node.nodeName}` };

  const see = (pod: Pod): void => {
    const uid = pod.metadata?.uid ?? '';
    const worker = workers.get(uid);
    if (worker !== undefined) {
      worker.update(pod);
      return;
    }
    const fresh = new PodWorker(node, pod, () => {
      workers.delete(uid);
      node.addresses.release(uid);
    });
    workers.set(uid, fresh);
    if (pod.metadata?.deletionTimestamp !== undefined) fresh.update(pod);
  };

  const { items, resourceVersion } = node.client.list('pods', selector);
  removeStrangers(node.dataDir, new Set(items.map((pod) => pod.metadata.uid ?? '')));
  for (const pod of items) see(pod);
  const watches = [
    node.client.watch('pods', { ...selector, resourceVersion }, (event) => {
      if (event.type === 'BOOKMARK') return;
      if (event.type === 'DELETED') workers.get(event.object.metadata.uid ?? '')?.removed();
      else see(event.object);
    }),
    ...['configmaps', 'secrets'].map((resource) =>
      node.client.watch(resource, { resourceVersion }, (event) => {
        if (event.type !== 'BOOKMARK') sourceChanged(workers.values(), resource, event.object);
      }),
    ),
  ];

  return {
    podLog: async (request) => podLog(node, workers, request),
    beginStop(limitMs = Number.POSITIVE_INFINITY) {
      for (const watch of watches.splice(0)) watch.close();
      for (const worker of workers.values()) worker.shutdown(limitMs);
    },
    async stop() {
      this.beginStop();
      await Promise.all([...workers.values()].map((worker) => worker.ended));
    },
  };
}

function sourceChanged(workers: Iterable<PodWorker>, resource: string, object: StoredObject): void {
  for (const worker of workers)
    if (worker.pod.metadata?.namespace === object.metadata.namespace)
      worker.sourceChanged(`${resource}/${object.metadata.name ?? ''}`);
}

/** Directories of pods that were deleted while no agent ran. */
function removeStrangers(dataDir: string, known: ReadonlySet<string>): void {
  const pods = join(dataDir, 'pods');
  if (!existsSync(pods)) return;
  for (const uid of readdirSync(pods))
    if (!known.has(uid)) rmSync(join(pods, uid), { recursive: true, force: true });
}

function podLog(
  node: NodeContext,
  workers: ReadonlyMap<string, PodWorker>,
  request: PodLogRequest,
): AsyncIterable<string> {
  const pod = node.client.get('pods', request.namespace, request.pod);
  const worker = workers.get(pod?.metadata.uid ?? '');
  if (worker === undefined) throw noLog(`pod "${request.pod}" is not on node "${node.nodeName}"`);
  const container = worker.container(request.container);
  if (container === undefined)
    throw noLog(`container ${request.container} is not valid for pod ${request.pod}`);
  const path = container.logPath(request.previous);
  const named = `container "${container.name}" in pod "${request.pod}"`;
  if (path === undefined || !existsSync(path)) {
    const why = container.state.kind === 'waiting' ? container.state.reason : 'ContainerCreating';
    throw noLog(
      request.previous ? `previous terminated ${named} not found` : `${named} is waiting to start: ${why}`,
    );
  }
  const writer = request.previous ? undefined : container.logWriter;
  return readLogLines(path, request, {
    now: node.clock.now(),
    signal: request.signal,
    ...(writer === undefined ? {} : { writer }),
  });
}

function noLog(message: string): ApiError {
  return ApiError.of(400, message, { reason: 'BadRequest' });
}
