import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { Agent, type AgentOptions, request as httpsRequest } from 'node:https';
import { createInterface } from 'node:readline';
import { isObject, type Json } from './json.ts';

/** How the API server is reached, and as whom. */
export interface Connection {
  /** `https://host:port` */
  server: string;
  ca: string | undefined;
  serverName: string | undefined;
  /** Client certificate of a cluster-admin. */
  certificate: { cert: string; key: string } | undefined;
  /** Headers of every request of the cluster-admin, where it has no certificate. */
  headers: () => Promise<Record<string, string>>;
}

export interface CallOptions {
  /** A value is sent as JSON, a string as it is. */
  body?: unknown;
  headers?: Record<string, string>;
  /** Bearer token of who asks; '' for nobody. The cluster-admin when absent. */
  token?: string;
}

export interface Answer {
  code: number;
  headers: IncomingHttpHeaders;
  /** JSON objects as they are; anything else as `{text}`. */
  body: Json;
}

/** An open watch. */
export interface WatchStream {
  readonly code: number;
  /** The next line, or undefined when the server has ended the watch. */
  next(): Promise<Json | undefined>;
  /** What comes until the server ends the watch. */
  rest(): Promise<Json[]>;
  close(): void;
}

/** Name that the server records as field manager of requests that name none. */
const USER_AGENT = 'contract/1';
/** A server that hangs must fail the scenario, not the whole run. */
const REQUEST_TIMEOUT_MS = 150_000;

/** Requests over HTTPS without any client library between the test and the bytes. */
export class Client {
  readonly #connection: Connection;
  #admin: Agent;
  #others: Agent;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#admin = new Agent({ ...trustOf(connection), ...connection.certificate });
    this.#others = new Agent(trustOf(connection));
  }

  /** One request; resolves whatever the status. */
  async call(method: string, path: string, options: CallOptions = {}): Promise<Answer> {
    const response = await this.#send(method, path, options);
    let text = '';
    for await (const chunk of response.setEncoding('utf8') as AsyncIterable<string>) text += chunk;
    return { code: response.statusCode ?? 0, headers: response.headers, body: parse(text) };
  }

  async watch(path: string, options: CallOptions = {}): Promise<WatchStream> {
    const response = await this.#send('GET', path, options);
    const lines = createInterface({ input: response })[Symbol.asyncIterator]();
    const next = async (): Promise<Json | undefined> => {
      const line = await lines.next();
      return line.done === true ? undefined : parse(line.value);
    };
    return {
      code: response.statusCode ?? 0,
      next,
      async rest() {
        const events: Json[] = [];
        for (let event = await next(); event !== undefined; event = await next()) events.push(event);
        return events;
      },
      close: () => response.destroy(),
    };
  }

  /** New connections after `close`. */
  reopen(): void {
    this.#admin = new Agent({ ...trustOf(this.#connection), ...this.#connection.certificate });
    this.#others = new Agent(trustOf(this.#connection));
  }

  close(): void {
    this.#admin.destroy();
    this.#others.destroy();
  }

  async #send(method: string, path: string, { body, headers, token }: CallOptions): Promise<IncomingMessage> {
    const asAdmin = token === undefined;
    const credentials = asAdmin
      ? await this.#connection.headers()
      : token === ''
        ? {}
        : { authorization: `Bearer ${token}` };
    const content = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const request = httpsRequest(
        `${this.#connection.server}${path}`,
        {
          method,
          agent: asAdmin ? this.#admin : this.#others,
          timeout: REQUEST_TIMEOUT_MS,
          headers: {
            'user-agent': USER_AGENT,
            accept: 'application/json',
            ...(content === undefined
              ? {}
              : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(content) }),
            ...credentials,
            ...headers,
          },
        },
        resolve,
      );
      request.on('timeout', () =>
        request.destroy(new Error(`${method} ${path}: nothing came for ${REQUEST_TIMEOUT_MS} ms`)),
      );
      request.on('error', reject);
      request.end(content);
    });
  }
}

function trustOf({ ca, serverName }: Connection): AgentOptions {
  return {
    keepAlive: true,
    ...(ca === undefined ? {} : { ca }),
    ...(serverName === undefined ? {} : { servername: serverName }),
  };
}

function parse(text: string): Json {
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return value;
  } catch {
    // Not JSON: health pages and paths that are not served answer in plain text.
  }
  return { text };
}
