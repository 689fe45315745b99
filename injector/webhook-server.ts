import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Log } from '../kubernetes/log.ts';
import { errorMessage } from '../kubernetes/log.ts';
import { admit, type AdmissionDeps, MalformedReview } from './admission.ts';

/** etcd holds no object above 1.5 MiB by default, and the API server takes bodies up to 3 MiB: a review is never larger. */
const MAX_BODY_BYTES = 3 * 1024 * 1024;
/** The API server waits 30 s at most for a webhook; nobody listens after that. Milliseconds. */
const REQUEST_TIMEOUT_MS = 30_000;
/** Enough for a few API servers, each with a few connections; more is a flood. */
const MAX_CONNECTIONS = 256;
/** Of those, connections that have not said who they are in TLS: beyond it the oldest is closed, so that who only connects keeps no API server out. */
const MAX_HANDSHAKES = 128;
/** ms that TLS has; an API server takes a few. */
const HANDSHAKE_MS = 10_000;
/** ms that requests under way have for their answer once the server closes: each takes a few. What has sent half a request is cut then. */
const DRAIN_MS = 2_000;

/** PEM. */
export interface ServingCertificate {
  certificate: string;
  key: string;
}

/** The webhook's listener. */
export interface WebhookServer {
  readonly port: number;
  /** New connections get this certificate; those that stand keep theirs. */
  useCertificate(serving: ServingCertificate): void;
  /** Ends the idle connections at once and the others with their answer. */
  close(): Promise<void>;
}

/** Serves `POST /inject` over HTTPS. Rejects when the address can't be bound. */
export async function startWebhookServer(
  options: { host: string; port: number; certificate: ServingCertificate; log: Log },
  deps: AdmissionDeps,
): Promise<WebhookServer> {
  const server = createServer({
    ...tlsOptions(options.certificate),
    handshakeTimeout: HANDSHAKE_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    headersTimeout: REQUEST_TIMEOUT_MS,
  });
  server.maxConnections = MAX_CONNECTIONS;
  const handshakes = followHandshakes(server);
  server.on('request', (request, response) => void answer(request, response, deps, options.log));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    useCertificate: (serving) => server.setSecureContext(tlsOptions(serving)),
    close: () =>
      new Promise((resolve) => {
        const cut = setTimeout(() => server.closeAllConnections(), DRAIN_MS);
        server.close(() => {
          clearTimeout(cut);
          resolve();
        });
        server.closeIdleConnections();
        for (const socket of handshakes.values()) socket.destroy();
      }),
  };
}

/** The connections that are not TLS yet, the oldest first, by the other end's address. The server itself neither bounds nor closes them. */
function followHandshakes(server: Server): ReadonlyMap<string, Socket> {
  const handshakes = new Map<string, Socket>();
  const nameOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress} ${remotePort}`;
  server.on('connection', (socket: Socket) => {
    const name = nameOf(socket);
    handshakes.set(name, socket);
    socket.once('close', () => {
      if (handshakes.get(name) === socket) handshakes.delete(name);
    });
    const [oldest] = handshakes.values();
    if (handshakes.size > MAX_HANDSHAKES) oldest?.destroy();
  });
  server.on('secureConnection', (socket) => handshakes.delete(nameOf(socket)));
  return handshakes;
}

function tlsOptions(serving: ServingCertificate) {
  return { cert: serving.certificate, key: serving.key, minVersion: 'TLSv1.2' as const };
}

/** Never rejects: whatever fails is answered, and the API server then goes by its failure policy. */
async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  deps: AdmissionDeps,
  log: Log,
): Promise<void> {
  try {
    if (new URL(request.url ?? '/', 'https://webhook').pathname !== '/inject') {
      return reply(response, 404, 'the webhook is at /inject');
    }
    if (request.method !== 'POST') return reply(response, 405, 'an AdmissionReview is sent by POST');
    const body = await readBody(request);
    if (body === undefined) return reply(response, 413, `a body has at most ${MAX_BODY_BYTES} bytes`);
    reply(response, 200, JSON.stringify(await admit(body, deps)), 'application/json');
  } catch (error) {
    if (error instanceof MalformedReview) return reply(response, 400, error.message);
    log.error({ error: errorMessage(error) }, 'an admission failed');
    reply(response, 500, 'the injector failed; its log says why');
  }
}

function reply(response: ServerResponse, status: number, body: string, type = 'text/plain'): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) }).end(body);
}

async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
