import {
  Agent,
  createServer,
  request,
  type IncomingMessage,
  type RequestListener,
  type Server,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { port } from '../../../api/names.ts';
import type { TestMesh } from './test-mesh.ts';

/** An app of a test: a server on a pod's address. */
export interface TestApp {
  readonly port: number;
  readonly server: Server;
  /** Connections that were made to it. */
  connections: number;
  /** Remote addresses that they came from. */
  readonly sources: Set<string>;
}

/** Starts an app that answers by `listener`; closed with the mesh. */
export async function startApp(mesh: TestMesh, ip: string, listener: RequestListener): Promise<TestApp> {
  const server = createServer(listener);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, ip, resolve);
  });
  const app: TestApp = {
    port: (server.address() as AddressInfo).port,
    server,
    connections: 0,
    sources: new Set(),
  };
  server.on('connection', (socket) => {
    app.connections++;
    app.sources.add(socket.remoteAddress ?? '');
  });
  mesh.onClose(() => {
    server.close();
    server.closeAllConnections();
  });
  return app;
}

export interface Answer {
  status: number;
  headers: IncomingMessage['headers'];
  trailers: IncomingMessage['trailers'];
  body: Buffer;
}

export interface Ask {
  method?: string;
  headers?: Record<string, string | string[]>;
  body?: Buffer | string | readonly (Buffer | string)[];
  trailers?: Record<string, string>;
  agent?: Agent;
}

/** Asks for an absolute URL through the sidecar at `ip`, in the absolute form of explicit proxies. Resolves with the whole answer. */
export function ask(ip: string, url: string, options: Ask = {}): Promise<Answer> {
  const { method = 'GET', headers = {}, body, trailers, agent } = options;
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        host: ip,
        port: port.outbound,
        method,
        path: url,
        headers: { host: new URL(url).host, ...headers },
        agent: agent ?? new Agent({ keepAlive: false }),
      },
      (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
        incoming.once('error', reject);
        incoming.once('end', () => {
          resolve({
            status: incoming.statusCode ?? 0,
            headers: incoming.headers,
            trailers: incoming.trailers,
            body: Buffer.concat(chunks),
          });
        });
      },
    );
    outgoing.once('error', reject);
    if (trailers !== undefined) outgoing.addTrailers(trailers);
    if (Array.isArray(body)) for (const part of body) outgoing.write(part);
    else if (body !== undefined) outgoing.write(body);
    outgoing.end();
  });
}

/** The cause that a proxy names in an answer of its own. */
export function causeOf(answer: Answer): string | undefined {
  return answer.headers['l5d-proxy-error'] as string | undefined;
}

/** Reads one metric's series from the admin port: text of labels -> value. */
async function metric(ip: string, name: string): Promise<Map<string, number>> {
  const response = await fetch(`http://${ip}:${port.admin}/metrics`);
  const found = new Map<string, number>();
  for (const line of (await response.text()).split('\n')) {
    const match = /^([a-z0-9_]+)(?:\{(.*)\})? ([0-9.e+-]+)$/.exec(line);
    if (match?.[1] === name) found.set(match[2] ?? '', Number(match[3]));
  }
  return found;
}

/** Sum of the series whose labels contain all of `labels`. */
export async function metricSum(ip: string, name: string, ...labels: string[]): Promise<number> {
  let sum = 0;
  for (const [text, value] of await metric(ip, name))
    if (labels.every((one) => text.includes(one))) sum += value;
  return sum;
}
