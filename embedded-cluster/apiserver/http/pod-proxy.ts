import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { StoredObject } from '../../types.ts';
import { badRequest, serviceUnavailable } from '../errors.ts';
import { valueAt } from '../json.ts';

/** ms without a byte from the pod; kube-apiserver waits as long as the client does. */
const IDLE_MS = 30_000;
/** Between the client and this server only (RFC 9110 7.6.1), or this server's own. */
const NOT_PASSED_ON: ReadonlySet<string> = new Set([
  'authorization',
  'connection',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** What the name in `pods/<name>/proxy` says: `pod`, `pod:port` or `scheme:pod:port`. Throws 400. */
export function parseProxyName(name: string): { pod: string; port: number | undefined } {
  const [, scheme = 'http', pod = '', port] =
    /^(?:(http|https|):)?([a-z0-9][a-z0-9.-]*)(?::(\d{1,5}))?$/.exec(name) ?? [];
  if (pod === '') throw badRequest(`invalid pod request ${JSON.stringify(name)}`);
  if (scheme === 'https') throw badRequest('pods are reached over plain HTTP only in this cluster');
  return { pod, port: port === undefined ? undefined : Number(port) };
}

/** GET of `pods/proxy`: asks the pod's own address and hands its answer on, whatever it is. Throws 400, 503 before the first byte. */
export async function servePodProxy(
  request: IncomingMessage,
  response: ServerResponse,
  pod: StoredObject,
  port: number | undefined,
): Promise<void> {
  const host = valueAt(pod, 'status.podIP');
  if (typeof host !== 'string' || host === '') throw badRequest('address not allowed');
  let answer: IncomingMessage;
  try {
    answer = await ask(request, response, host, port ?? firstPort(pod) ?? 80);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw serviceUnavailable(`error trying to reach service: ${why}`);
  }
  response.writeHead(answer.statusCode ?? 502, passedOn(answer.headers));
  // Either side may leave in the middle: there is nobody left to tell.
  await pipeline(answer, response).catch(() => response.destroy());
}

function ask(
  request: IncomingMessage,
  response: ServerResponse,
  host: string,
  port: number,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const onward = httpRequest({
      host,
      port,
      method: request.method ?? 'GET',
      path: pathBehind(request.url ?? ''),
      headers: passedOn(request.headers),
      agent: false,
    });
    onward.setTimeout(IDLE_MS, () => onward.destroy(new Error('i/o timeout')));
    onward.once('error', reject);
    onward.once('response', resolve);
    response.once('close', () => onward.destroy());
    onward.end();
  });
}

/** What stands after `/proxy`, with the query. */
function pathBehind(url: string): string {
  const rest = /\/pods\/[^/?]+\/proxy([^?]*)(\?.*)?$/.exec(url);
  return `${rest?.[1] || '/'}${rest?.[2] ?? ''}`;
}

function passedOn(headers: IncomingMessage['headers']): Record<string, string | string[]> {
  const kept: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && !NOT_PASSED_ON.has(name)) kept[name] = value;
  }
  return kept;
}

function firstPort(pod: StoredObject): number | undefined {
  const containers = valueAt(pod, 'spec.containers');
  for (const container of Array.isArray(containers) ? containers : []) {
    const ports = valueAt(container, 'ports');
    const number: unknown = Array.isArray(ports) ? valueAt(ports[0], 'containerPort') : undefined;
    if (typeof number === 'number') return number;
  }
  return undefined;
}
