import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { BlockList, isIPv6, type AddressInfo } from 'node:net';
import { nodeHttp } from './node-http.ts';
import { exposition, EXPOSITION_TYPE } from './telemetry/exposition.ts';
import type { Registry } from './telemetry/registry.ts';
import { bind } from './transport/listen.ts';

export interface AdminOptions {
  /** `::` takes all addresses of both families, of IPv4 alone where the kernel has nothing else. */
  host: string;
  port: number;
  registry: Registry;
  /** Why requests cannot be served now; undefined: they can. */
  unready: () => string | undefined;
  /** Shown by `/env.json`. */
  env: NodeJS.ProcessEnv;
  /** Ends the process in order, on `POST /shutdown`. Absent: nobody may ask for that. */
  shutDown?: () => void;
}

/** Names of variables whose values are shown: our own settings and the downward API's. What else is in the environment is nobody's business. */
const SHOWN = /^(ISTHMUS_|POD_|NODE_NAME$|SERVICE_ACCOUNT$)/;
/** Values that could be secrets are not shown, only that they are set. Names of files are no secrets. */
const SECRET = /(TOKEN|SECRET|PASSWORD|KEY)(?!.*_FILE$)/;

/** A running admin server. */
export interface Admin {
  readonly port: number;
  close(): void;
}

/**
 * The admin server: `/live`, `/ready`, `/metrics`, `/env.json`, and `POST /shutdown` over loopback. Rejects with an error that names the address when it cannot be
 * bound.
 */
export async function startAdmin(options: AdminOptions): Promise<Admin> {
  const server = nodeHttp().createServer((request, response) => answer(request, response, options));
  await listen(server, options.host, options.port);
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

function answer(request: IncomingMessage, response: ServerResponse, options: AdminOptions): void {
  const path = request.url?.split('?')[0];
  if (path === '/shutdown') return shutdown(request, response, options.shutDown);
  if (request.method !== 'GET' && request.method !== 'HEAD') return text(response, 405, 'only GET');
  switch (path) {
    case '/live':
      return text(response, 200, 'live');
    case '/ready': {
      const reason = options.unready();
      return text(response, reason === undefined ? 200 : 503, reason ?? 'ready');
    }
    case '/env.json':
      return json(response, shownEnv(options.env));
    case '/metrics':
      writeMetrics(response, options.registry).catch(() => response.destroy());
      return undefined;
    default:
      return text(response, 404, 'there are /live, /ready, /metrics, /env.json and /shutdown');
  }
}

/** Only the pod's own containers reach its loopback: they alone know when their work is done. Linkerd's rule. */
function shutdown(
  request: IncomingMessage,
  response: ServerResponse,
  shutDown: AdminOptions['shutDown'],
): void {
  if (shutDown === undefined) {
    return text(response, 404, 'the annotation proxy-admin-shutdown of the pod does not enable this');
  }
  if (request.method !== 'POST') return text(response, 405, 'only POST');
  const { remoteAddress = '' } = request.socket;
  if (!LOOPBACK.check(remoteAddress, isIPv6(remoteAddress) ? 'ipv6' : 'ipv4')) {
    return text(response, 403, 'only from inside the pod, by its loopback address');
  }
  text(response, 200, 'shutting down');
  shutDown();
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8);
LOOPBACK.addAddress('::1', 'ipv6');
LOOPBACK.addSubnet('::ffff:127.0.0.0', 104, 'ipv6');

async function listen(server: Server, host: string, port: number): Promise<void> {
  try {
    // Without an address the runtime takes all, of the families that there are.
    await listening(host === '::' ? server.listen(port) : server.listen(bind(host, port)));
  } catch (error) {
    const { message } = error as Error;
    throw new Error(`the admin port ${host}:${port} cannot be opened: ${message}`, { cause: error });
  }
}

function listening(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.once('listening', () => {
      server.off('error', reject);
      resolve();
    });
  });
}

async function writeMetrics(response: ServerResponse, registry: Registry): Promise<void> {
  response.writeHead(200, { 'content-type': EXPOSITION_TYPE });
  for await (const slice of exposition(registry)) {
    if (response.destroyed) return;
    // Who reads slowly gets it slowly: what waits is not kept in memory.
    if (!response.write(slice)) await drained(response);
  }
  response.end();
}

/** Resolves when there is room again, or nobody left who reads. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.once('drain', done);
    response.once('close', done);
  });
}

function text(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { 'content-type': 'text/plain' }).end(`${body}\n`);
}

function json(response: ServerResponse, body: object): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`);
}

/** The part of an environment that may be shown. */
export function shownEnv(env: NodeJS.ProcessEnv): Record<string, string> {
  const shown: Record<string, string> = {};
  for (const name of Object.keys(env).sort()) {
    if (SHOWN.test(name)) shown[name] = SECRET.test(name) ? '(set)' : (env[name] ?? '');
  }
  return shown;
}
