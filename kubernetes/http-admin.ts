import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo, Server, Socket } from 'node:net';
import type { Registry } from 'prom-client';

/**
 * Connections at once: kubelets, scrapers and people have a few. Beyond it the oldest on which nobody waits for an
 * answer is closed, else the oldest, so that a crowd that says nothing keeps no probe out and takes no descriptors from
 * the rest.
 */
const MAX_CONNECTIONS = 64;

export interface AdminOptions {
  host: string;
  port: number;
  registry: Registry;
  /** Undefined when all is well, otherwise why not. Default: always well. */
  live?: () => string | undefined;
  ready: () => string | undefined;
}

export interface AdminServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Serves `/live`, `/ready` (200, or 503 with the reason) and `/metrics`. Rejects when the address can not be bound, naming it. */
export async function startAdmin(options: AdminOptions): Promise<AdminServer> {
  const server = createServer((request, response) => void answer(options, request, response));
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      reject(
        new Error(`the admin server can not listen on ${options.host}:${options.port}: ${cause.message}`, {
          cause,
        }),
      );
    });
    server.listen(options.port, options.host, resolve);
  });
  keepRoom(server);
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function keepRoom(server: Server): void {
  const open = new Set<Socket>();
  const asking = new Set<Socket>();
  server.on('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    asking.add(socket);
    response.once('close', () => asking.delete(socket));
  });
  server.on('connection', (socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    if (open.size <= MAX_CONNECTIONS) return;
    const [oldest] = open;
    const closed = open.values().find((one) => one !== socket && !asking.has(one)) ?? oldest;
    closed?.destroy();
  });
}

async function answer(
  options: AdminOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  switch (request.url?.split('?', 1)[0]) {
    case '/live':
      verdict(response, options.live?.(), 'live');
      return;
    case '/ready':
      verdict(response, options.ready(), 'ready');
      return;
    case '/metrics':
      await metrics(options.registry, response);
      return;
    case undefined:
    default:
      response.writeHead(404).end('not found\n');
  }
}

function verdict(response: ServerResponse, problem: string | undefined, good: string): void {
  response.writeHead(problem === undefined ? 200 : 503, { 'content-type': 'text/plain' });
  response.end(`${problem ?? good}\n`);
}

async function metrics(registry: Registry, response: ServerResponse): Promise<void> {
  try {
    const body = await registry.metrics();
    response.writeHead(200, { 'content-type': registry.contentType }).end(body);
  } catch {
    response.writeHead(500).end('the metrics could not be collected\n');
  }
}
