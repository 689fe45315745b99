import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { ServingCertificates } from './authn/certificates.ts';

/** Longer than clients keep idle connections (Go: 90 s), so that none is closed under a request. */
const KEEP_ALIVE_MS = 120_000;

/** Where clients reach the API server: HTTPS on one address. */
export class HttpsEndpoint {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #at: { readonly address: string; readonly port: number };

  /** @param port 0: any that is free; it is known when `listen` has resolved */
  constructor(certificates: ServingCertificates, address: string, port: number) {
    this.#server = serverFor(certificates);
    this.#at = { address, port };
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  get address(): string {
    return this.#at.address;
  }

  get port(): number {
    return this.#at.port;
  }

  /** `127.64.3.1:6443` */
  get authority(): string {
    return `${this.address}:${this.port}`;
  }

  /** Rejects with what to do when the address can't be had. */
  listen(onRequest: (request: IncomingMessage, response: ServerResponse) => void): Promise<void> {
    const server = this.#server.on('request', onRequest);
    return new Promise((resolve, reject) => {
      const refuse = (error: Error): void => {
        const what = `the API server can not listen on ${this.authority} (${error.message})`;
        reject(new Error(`${what}; end what uses it, or choose another address`, { cause: error }));
      };
      server.once('error', refuse);
      server.listen(this.port, this.address, () => {
        server.off('error', refuse);
        this.#at = server.address() as AddressInfo;
        resolve();
      });
    });
  }

  /**
   * Ends all connections at once: clients of a watch resume it with the next server. By itself, Node's server knows no
   * connection that has not finished TLS, and waits for it.
   */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      for (const socket of this.#sockets) socket.destroy();
    });
  }
}

function serverFor({ ca, server: { certificate, key } }: ServingCertificates): Server {
  return createServer({
    cert: certificate,
    key,
    ca,
    // Clients may show a certificate; those without one have a token or are anonymous.
    requestCert: true,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.2',
    keepAliveTimeout: KEEP_ALIVE_MS,
  });
}
