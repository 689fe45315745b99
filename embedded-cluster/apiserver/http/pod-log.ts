import type { ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { StoredObject } from '../../types.ts';
import { badRequest, serviceUnavailable } from '../errors.ts';
import { valueAt } from '../json.ts';
import type { Kubelet } from '../kubelet.ts';

const DEFAULT_CONTAINER_ANNOTATION = 'kubectl.kubernetes.io/default-container';

/** GET of `pods/log`: plain text as the node agent hands it out. Throws 400, 503 before the first byte. */
export async function servePodLog(
  response: ServerResponse,
  pod: StoredObject,
  query: URLSearchParams,
  kubelet: Kubelet | undefined,
): Promise<void> {
  if (kubelet === undefined)
    throw serviceUnavailable('no node agent runs in this cluster that could read logs');
  const container = containerOf(pod, query.get('container') ?? '');
  const aborted = new AbortController();
  response.once('close', () => aborted.abort());
  const log = await kubelet.podLog({
    namespace: pod.metadata.namespace ?? '',
    pod: pod.metadata.name ?? '',
    container,
    previous: query.get('previous') === 'true',
    follow: query.get('follow') === 'true',
    tailLines: numberOf(query, 'tailLines'),
    sinceSeconds: numberOf(query, 'sinceSeconds'),
    sinceTime: query.get('sinceTime') ?? undefined,
    timestamps: query.get('timestamps') === 'true',
    limitBytes: numberOf(query, 'limitBytes'),
    signal: aborted.signal,
  });
  response.writeHead(200, { 'Content-Type': 'text/plain' });
  response.flushHeaders();
  for await (const chunk of log) {
    if (!response.write(chunk)) await Promise.race([once(response, 'drain'), once(response, 'close')]);
    if (response.destroyed) return;
  }
  response.end();
}

function containerNames(pod: StoredObject, field: string): string[] {
  const containers = valueAt(pod, `spec.${field}`);
  return Array.isArray(containers) ? containers.map((container) => String(valueAt(container, 'name'))) : [];
}

function containerOf(pod: StoredObject, asked: string): string {
  const { name = '' } = pod.metadata;
  const main = containerNames(pod, 'containers');
  const init = containerNames(pod, 'initContainers');
  if (asked !== '') {
    if (main.includes(asked) || init.includes(asked)) return asked;
    throw badRequest(`container ${asked} is not valid for pod ${name}`);
  }
  const [only = ''] = main;
  if (main.length === 1) return only;
  const chosen = pod.metadata.annotations?.[DEFAULT_CONTAINER_ANNOTATION];
  if (chosen !== undefined && main.includes(chosen)) return chosen;
  const choices = init.length === 0 ? '' : ` or one of the init containers: [${init.join(' ')}]`;
  throw badRequest(
    `a container name must be specified for pod ${name}, choose one of: [${main.join(' ')}]${choices}`,
  );
}

function numberOf(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === '') return undefined;
  if (!/^\d{1,15}$/.test(text))
    throw badRequest(
      `${name}: Invalid value: ${JSON.stringify(text)}: must be a number that is not negative`,
    );
  return Number(text);
}
