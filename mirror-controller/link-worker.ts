/** Entry point of a link's worker thread: everything that touches the target's API happens here, under this thread's heap limit. */
import { getHeapStatistics } from 'node:v8';
import { parentPort, workerData } from 'node:worker_threads';
import { component } from '../api/names.ts';
import { createClient } from '../kubernetes/client.ts';
import { createOwnLog } from '../log/index.ts';
import { LinkSync } from './link-sync.ts';
import type { FromWorker, LinkWorkerData, ToWorker } from './messages.ts';
import { clientConfig } from './plain-config.ts';

/** Cap on an answer and a watch line of the target, whose size is not ours to trust. */
const MAX_RESPONSE_BYTES = 16 * 1024 * 1024;
/** Below this nothing useful could be read at all. */
const MIN_RESPONSE_BYTES = 512 * 1024;
/** Heap bytes that one byte of hostile JSON (`[],[],…`) becomes when it is parsed, with a margin. */
const HEAP_PER_BYTE = 16;
/** Tells the main thread that this one's event loop turns. */
const TICK_MS = 5000;

/**
 * What can be parsed within the heap that is left. A thread that meets its limit inside one large allocation takes the whole process
 * with it; one that meets it bit by bit ends alone. So no answer may be larger than what fits.
 */
function responseCap(): number {
  const { heap_size_limit: limit, used_heap_size: used } = getHeapStatistics();
  return Math.max(MIN_RESPONSE_BYTES, Math.min(MAX_RESPONSE_BYTES, (limit - used) / HEAP_PER_BYTE));
}

const port = parentPort;
if (port === null) throw new Error('this file is started as a worker thread by the mirror controller');
const data = workerData as LinkWorkerData;
const ownLog = createOwnLog({ component: component.mirrorController, link: data.link.name }, data.logLevel);
const { log: logger } = ownLog;
const local = createClient(clientConfig(data.local), { logger });
const remote = createClient(clientConfig(data.remote), { logger, maxResponseBytes: responseCap });
const send = (message: FromWorker): void => port.postMessage(message);

const sync = new LinkSync({
  settings: data.settings,
  ownClusterId: data.ownClusterId,
  local,
  remote,
  link: data.link,
  gateway: data.gateway,
  onReport: (report) => send({ kind: 'report', report }),
  logger,
  ...(data.backoff === undefined ? {} : { backoff: data.backoff }),
});
const ticker = setInterval(() => send({ kind: 'tick' }), TICK_MS);

port.on('message', (message: ToWorker) => {
  if (message.kind === 'gateway') sync.setGateway(message.gateway);
  else void stop();
});
sync.start();
send({ kind: 'tick' });

async function stop(): Promise<void> {
  clearInterval(ticker);
  // Closing ends what hangs in the target; writes to the local API that are under way are let finish.
  await Promise.all([sync.stop(), remote.close()]);
  await local.close();
  await ownLog.close();
  port?.close();
}
