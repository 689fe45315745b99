import { once } from 'node:events';
import { createServer as createHttpServer, request } from 'node:http';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** A message as node:http reads it. Field names in lower case. */
export interface NodeMessage {
  /** Method and target, or the status. */
  readonly what: string;
  readonly fields: readonly string[];
  body: string;
  trailers: readonly string[];
  /** It has come to its end. */
  whole: boolean;
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

function pairs(raw: readonly string[]): string[] {
  return raw.flatMap((name, i) => (i % 2 === 0 ? [`${name.toLowerCase()}: ${raw[i + 1] ?? ''}`] : []));
}

/** node:http as a server, with the parser as strict as it comes. */
export class NodeServer {
  readonly #server = createHttpServer({ requireHostHeader: true });
  #port = 0;
  #seen: NodeMessage[] = [];

  async start(): Promise<void> {
    this.#server.on('request', (incoming, response) => {
      const one: NodeMessage = {
        what: `${incoming.method} ${incoming.url}`,
        fields: pairs(incoming.rawHeaders),
        body: '',
        trailers: [],
        whole: false,
      };
      this.#seen.push(one);
      incoming.setEncoding('latin1');
      incoming.on('data', (text: string) => (one.body += text));
      incoming.on('end', () => {
        one.trailers = pairs(incoming.rawTrailers);
        one.whole = true;
        response.end('ok');
      });
    });
    // What it refuses is answered by the socket's end.
    this.#server.on('clientError', (_error, socket) => socket.destroy());
    this.#port = await listen(this.#server);
  }

  /** What it reads of a connection with these bytes (Latin-1). */
  async read(text: string): Promise<NodeMessage[]> {
    this.#seen = [];
    const socket = connect(this.#port, '127.0.0.1');
    socket.on('error', () => {});
    socket.resume();
    socket.end(text, 'latin1');
    await once(socket, 'close');
    return this.#seen;
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

/** node:http as a client of a server that answers with given bytes, and ends. */
export class NodeClient {
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((socket) => {
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.once('data', () => socket.end(this.#answer, 'latin1'));
  });
  #answer = '';
  #port = 0;

  async start(): Promise<void> {
    this.#port = await listen(this.#server);
  }

  /** The answer that it reads; undefined: it refuses. */
  read(text: string, method: string): Promise<NodeMessage | undefined> {
    this.#answer = text;
    return new Promise((resolve) => {
      const outgoing = request({ host: '127.0.0.1', port: this.#port, method, agent: false }, (incoming) => {
        const one: NodeMessage = {
          what: String(incoming.statusCode),
          fields: pairs(incoming.rawHeaders),
          body: '',
          trailers: [],
          whole: false,
        };
        incoming.setEncoding('latin1');
        incoming.on('data', (part: string) => (one.body += part));
        incoming.on('error', () => resolve(one));
        incoming.on('end', () => {
          one.trailers = pairs(incoming.rawTrailers);
          one.whole = incoming.complete;
          resolve(one);
        });
      });
      outgoing.on('error', () => resolve(undefined));
      // Nobody asked for it; without a listener there would be no event at all.
      outgoing.on('upgrade', (_incoming, socket) => {
        socket.destroy();
        resolve(undefined);
      });
      outgoing.end();
    });
  }

  stop(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}
