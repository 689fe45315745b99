/** Entry point of a link's worker thread: everything that touches the target's API happens here, under this thread's heap limit. */
import { parentPort, workerData } from 'node:worker_threads';
import pino from 'pino';
import { component } from '../api/names.ts';
import { createClient } from '../kubernetes/client.ts';
import { LinkSync } from './link-sync.ts';
import type { FromWorker, LinkWorkerData, ToWorker } from './messages.ts';
import { clientConfig } from './plain-config.ts';

/** Cap on an answer and a watch line of the target, whose size is not ours to trust. */
const MAX_RESPONSE_BYTES = 16 * 1024 * 1024;
/** Tells the main thread that this one's event loop turns. */
const TICK_MS = 5000;

const port = parentPort;
if (port === null) throw new Error('this file is started as a worker thread by the mirror controller');
const data = workerData as LinkWorkerData;
const logger = pino({
  level: data.logLevel,
  base: { component: component.mirrorController, link: data.link.name },
});
const local = createClient(clientConfig(data.local), { logger });
const remote = createClient(clientConfig(data.remote), { logger, maxResponseBytes: MAX_RESPONSE_BYTES });
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
  await sync.stop();
  await Promise.all([local.close(), remote.close()]);
  port?.close();
}
