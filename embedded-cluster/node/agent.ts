import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Pod } from '../../api/kubernetes-types.ts';
import type { StoredObject } from '../types.ts';
import { readLogLines } from './log-reader.ts';
import type { LogSelection } from './log-reader.ts';
import type { NodeContext } from './node-context.ts';
import { PodWorker } from './pod-worker.ts';

/** Which container's log is asked for. */
export interface LogRequest extends LogSelection {
  namespace: string;
  pod: string;
  /** The only main container when absent. */
  container?: string;
  previous?: boolean;
}

/** A log that can't be given; the message is in a kubelet's words, the code is the HTTP status to answer with. */
export class LogError extends Error {
  override name = 'LogError';
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

export interface NodeAgent {
  /** Text of a container's log. Throws LogError before the first line when there is none to give. */
  readLog(request: LogRequest, signal?: AbortSignal): AsyncGenerator<string>;
  /** Ends every pod's processes within their grace, at most `limitMs`; pod objects stay as they are. */
  stop(limitMs?: number): Promise<void>;
}

/** Runs the pods that are bound to the node. First ends what an earlier agent has left running. */
export async function startNodeAgent(node: NodeContext): Promise<NodeAgent> {
  const left = await node.records.killLeftovers();
  if (left > 0) node.logger.info({ processes: left }, 'ended processes of an earlier run');

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
  for (const pod of items) see(pod as Pod);
  const watches = [
    node.client.watch('pods', { ...selector, resourceVersion }, (event) => {
      if (event.type === 'BOOKMARK') return;
      if (event.type === 'DELETED') workers.get(event.object.metadata.uid ?? '')?.removed();
      else see(event.object as Pod);
    }),
    ...['configmaps', 'secrets'].map((resource) =>
      node.client.watch(resource, { resourceVersion }, (event) => {
        if (event.type !== 'BOOKMARK') sourceChanged(workers.values(), resource, event.object);
      }),
    ),
  ];

  return {
    readLog: (request, signal) => readPodLog(node, workers, request, signal),
    async stop(limitMs = Number.POSITIVE_INFINITY) {
      for (const watch of watches) watch.close();
      await Promise.all([...workers.values()].map((worker) => worker.shutdown(limitMs)));
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

async function* readPodLog(
  node: NodeContext,
  workers: ReadonlyMap<string, PodWorker>,
  request: LogRequest,
  signal: AbortSignal | undefined,
): AsyncGenerator<string> {
  const pod = node.client.get('pods', request.namespace, request.pod) as Pod | undefined;
  const worker = workers.get(pod?.metadata?.uid ?? '');
  if (pod === undefined || worker === undefined)
    throw new LogError(404, `pods "${request.pod}" is not on node "${node.nodeName}"`);
  const container = worker.container(request.container ?? pod.spec?.containers[0]?.name ?? '');
  if (container === undefined)
    throw new LogError(400, `container ${request.container ?? ''} is not valid for pod ${request.pod}`);
  const previous = request.previous === true;
  const path = container.logPath(previous);
  if (path === undefined || !existsSync(path)) {
    if (previous)
      throw new LogError(
        400,
        `previous terminated container "${container.name}" in pod "${request.pod}" not found`,
      );
    const why = container.state.kind === 'waiting' ? container.state.reason : 'ContainerCreating';
    throw new LogError(
      400,
      `container "${container.name}" in pod "${request.pod}" is waiting to start: ${why}`,
    );
  }
  const writer = previous ? undefined : container.logWriter;
  yield* readLogLines(path, request, {
    now: node.clock.now(),
    ...(writer === undefined ? {} : { writer }),
    ...(signal === undefined ? {} : { signal }),
  });
}
