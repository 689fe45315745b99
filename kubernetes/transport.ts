import { setTimeout as delay } from 'node:timers/promises';
import { Pool } from 'undici';
import type { Dispatcher } from 'undici';
import type { Status } from '../api/kubernetes-types.ts';
import { KubernetesError } from './types.ts';
import type { ClientConfig } from './types.ts';

/** One HTTP exchange with an API server. */
export interface ApiRequest {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** With its query. */
  path: string;
  body?: unknown;
  /** Of the body; `application/json` unless given. */
  contentType?: string;
  /** Media type that is asked for; `application/json` unless given. */
  accept?: string;
  signal?: AbortSignal;
}

export interface TransportOptions {
  maxResponseBytes: () => number;
  /** From the first byte sent to the last byte received of anything but a watch. */
  requestTimeoutMs: number;
  userAgent: string;
  /** How often a call is sent again that the server has turned away without looking at it. */
  throttledRetries: number;
}

/** Reasons of a `KubernetesError` with code 0: no usable answer came. */
export type NoAnswerReason =
  | 'ConnectionFailed'
  | 'TlsFailed'
  | 'CredentialsUnreadable'
  | 'Timeout'
  | 'Aborted'
  | 'ResponseTooLarge'
  | 'InvalidResponse';

/** Too many requests, or what serves them is not there yet: a kind whose definition was established a moment ago, for one. */
const THROTTLED: ReadonlySet<number> = new Set([429, 503]);
/** Longer than API servers ask for; a person waits. */
const MAX_RETRY_AFTER_MS = 10_000;
/** TCP and TLS to an API server that is there take some round trips; one that is not should not hold up a command. */
const CONNECT_TIMEOUT_MS = 10_000;
/** An API server sends a watch's head at once; a minute allows for one that is just starting. */
const WATCH_HEAD_TIMEOUT_MS = 60_000;
/** A Status that explains a failure is small; more than this is not one. */
const MAX_ERROR_BYTES = 64 * 1024;

/** A `KubernetesError` for a call that got no usable answer. */
export function noAnswer(reason: NoAnswerReason, message: string, cause?: unknown): KubernetesError {
  return new KubernetesError(message, 0, reason, undefined, cause === undefined ? {} : { cause });
}

/** Bytes to and from one API server: TLS, credentials, caps, and errors turned into `KubernetesError`. */
export class Transport {
  readonly #config: ClientConfig;
  readonly #options: TransportOptions;
  readonly #pool: Pool;
  readonly #basePath: string;

  constructor(config: ClientConfig, options: TransportOptions) {
    const url = serverUrl(config.server);
    this.#config = config;
    this.#options = options;
    this.#basePath = url.pathname.replace(/\/+$/, '');
    this.#pool = new Pool(url.origin, {
      // Each watch holds a connection of its own, so that a slow one never holds up another request.
      allowH2: false,
      connections: null,
      connect: { timeout: CONNECT_TIMEOUT_MS, ...tlsOptions(config) },
      keepAliveTimeout: 30_000,
    });
  }

  /** Sends, reads the whole answer within the caps, and parses it. */
  async json<R>(request: ApiRequest): Promise<R> {
    return this.#parse(await this.text(request), request) as R;
  }

  /** Sends and reads the whole answer within the caps; what is turned away is sent again when the server says. */
  async text(request: ApiRequest): Promise<string> {
    for (let left = this.#options.throttledRetries; ; left -= 1) {
      try {
        return await this.#textOnce(request);
      } catch (error) {
        const waitMs = left > 0 ? retryAfterMs(error) : undefined;
        if (waitMs === undefined) throw error;
        await this.#wait(waitMs, request);
      }
    }
  }

  async #wait(ms: number, request: ApiRequest): Promise<void> {
    try {
      await delay(ms, undefined, request.signal === undefined ? {} : { signal: request.signal });
    } catch (error) {
      throw this.#broken(request, error);
    }
  }

  async #textOnce(request: ApiRequest): Promise<string> {
    const deadline = AbortSignal.timeout(this.#options.requestTimeoutMs);
    const signal = request.signal === undefined ? deadline : AbortSignal.any([request.signal, deadline]);
    const response = await this.#send(request, signal, this.#options.requestTimeoutMs);
    const text = await this.#readText(response.body, this.#options.maxResponseBytes(), request, signal);
    if (response.statusCode >= 400) throw this.#failure(request, response.statusCode, text);
    return text;
  }

  /** Sends and hands over the body as it comes; the caller ends it by leaving its loop or by `signal`. */
  async stream(request: ApiRequest & { signal: AbortSignal }): Promise<AsyncIterable<Buffer>> {
    const response = await this.#send(request, request.signal, WATCH_HEAD_TIMEOUT_MS);
    if (response.statusCode >= 400) {
      const deadline = AbortSignal.any([request.signal, AbortSignal.timeout(this.#options.requestTimeoutMs)]);
      const text = await this.#readText(response.body, MAX_ERROR_BYTES, request, deadline);
      throw this.#failure(request, response.statusCode, text);
    }
    return this.#chunks(response.body, request);
  }

  /** Ends all that is under way and lets go of the connections. */
  async close(): Promise<void> {
    await this.#pool.destroy();
  }

  async #send(
    request: ApiRequest,
    signal: AbortSignal,
    headTimeoutMs: number,
  ): Promise<Dispatcher.ResponseData> {
    const headers: Record<string, string> = {
      accept: request.accept ?? 'application/json',
      'user-agent': this.#options.userAgent,
      ...(await this.#credentials()),
    };
    if (request.body !== undefined) headers['content-type'] = request.contentType ?? 'application/json';
    try {
      return await this.#pool.request({
        method: request.method,
        path: `${this.#basePath}${request.path}`,
        headers,
        body: request.body === undefined ? null : JSON.stringify(request.body),
        signal,
        headersTimeout: headTimeoutMs,
        // Whole answers have a deadline of their own; a quiet watch is healthy and its reader has the watchdog.
        bodyTimeout: 0,
      });
    } catch (error) {
      throw this.#broken(request, error);
    }
  }

  async #credentials(): Promise<Record<string, string>> {
    const auth = this.#config.auth;
    if (auth === undefined || auth.kind === 'certificate') return {};
    try {
      if (auth.kind === 'headers') return await auth.headers();
      return { authorization: `Bearer ${(await auth.token()).trim()}` };
    } catch (error) {
      const why = error instanceof Error ? error.message : 'unknown cause';
      throw noAnswer('CredentialsUnreadable', `the credentials for ${this.#config.server}: ${why}`, error);
    }
  }

  async *#chunks(body: AsyncIterable<Buffer>, request: ApiRequest): AsyncGenerator<Buffer> {
    try {
      for await (const chunk of body) yield chunk;
    } catch (error) {
      throw this.#broken(request, error);
    }
  }

  async #readText(
    body: Dispatcher.ResponseData['body'],
    maxBytes: number,
    request: ApiRequest,
    signal: AbortSignal,
  ): Promise<string> {
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of this.#chunks(body, request)) {
      bytes += chunk.length;
      if (bytes > maxBytes) {
        body.destroy();
        throw noAnswer('ResponseTooLarge', `${this.#name(request)} answered more than ${maxBytes} bytes`);
      }
      chunks.push(chunk);
    }
    if (signal.aborted) throw this.#broken(request, signal.reason);
    return Buffer.concat(chunks, bytes).toString('utf8');
  }

  #parse(text: string, request: ApiRequest): unknown {
    try {
      return JSON.parse(text);
    } catch (error) {
      throw noAnswer('InvalidResponse', `${this.#name(request)} answered what is not JSON`, error);
    }
  }

  #failure(request: ApiRequest, code: number, text: string): KubernetesError {
    const status = parseStatus(text);
    const message = status?.message ?? `HTTP status ${code} without a Status`;
    return new KubernetesError(
      `${this.#name(request)}: ${message}`,
      code,
      status?.reason ?? reasonOfCode(code),
      status,
    );
  }

  #broken(request: ApiRequest, error: unknown): KubernetesError {
    if (error instanceof KubernetesError) return error;
    const reason = noAnswerReason(error, request.signal);
    const why = error instanceof Error ? rootMessage(error) : String(error);
    return noAnswer(reason, `${this.#name(request)}: ${why}`, error);
  }

  #name(request: ApiRequest): string {
    return `${request.method} ${this.#config.server}${request.path.split('?', 1)[0] ?? ''}`;
  }
}

/**
 * Milliseconds after which a call may be sent again that was not processed (429 or 503, and the server says when), as
 * client-go does; undefined for any other failure.
 */
function retryAfterMs(error: unknown): number | undefined {
  if (!(error instanceof KubernetesError) || !THROTTLED.has(error.code)) return undefined;
  const seconds = error.status?.details?.retryAfterSeconds;
  return seconds === undefined ? undefined : Math.min(seconds * 1000, MAX_RETRY_AFTER_MS);
}

function serverUrl(server: string): URL {
  if (!URL.canParse(server)) {
    throw new TypeError(`the API server "${server}" is not a URL; it must be like https://host:port`);
  }
  const url = new URL(server);
  const loopback = /^(127\.[\d.]+|localhost|\[::1\])$/.test(url.hostname);
  if (url.protocol === 'https:' || (url.protocol === 'http:' && loopback)) return url;
  throw new TypeError(
    `the API server "${server}" must be an https URL: credentials never travel in the clear (http is taken on loopback only)`,
  );
}

function tlsOptions(config: ClientConfig): Record<string, string> {
  return {
    ...(config.ca === undefined ? {} : { ca: config.ca }),
    ...(config.serverName === undefined ? {} : { servername: config.serverName }),
    ...(config.auth?.kind === 'certificate' ? { cert: config.auth.cert, key: config.auth.key } : {}),
  };
}

function parseStatus(text: string): Status | undefined {
  try {
    const value = JSON.parse(text) as Partial<Status> | null;
    return value?.kind === 'Status' ? (value as Status) : undefined;
  } catch {
    return undefined;
  }
}

/** metav1.StatusReason of bare HTTP codes, for servers and proxies that answer without a Status. */
function reasonOfCode(code: number): string {
  const known: Record<number, string> = {
    400: 'BadRequest',
    401: 'Unauthorized',
    403: 'Forbidden',
    404: 'NotFound',
    409: 'Conflict',
    410: 'Gone',
    422: 'Invalid',
    429: 'TooManyRequests',
    500: 'InternalError',
    503: 'ServiceUnavailable',
    504: 'Timeout',
  };
  return known[code] ?? 'Unknown';
}

const TLS_CODES =
  /^(ERR_TLS|ERR_SSL|ERR_OSSL|CERT_|UNABLE_TO|DEPTH_ZERO|SELF_SIGNED|EPROTO|INVALID_|HOSTNAME_|PATH_LENGTH|CRL_|ERROR_IN_)/;

function noAnswerReason(error: unknown, signal: AbortSignal | undefined): NoAnswerReason {
  if (signal?.aborted === true) return 'Aborted';
  if (error instanceof Error && (error.name === 'TimeoutError' || /Timeout/.test(error.name)))
    return 'Timeout';
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (TLS_CODES.test(code)) return 'TlsFailed';
  return 'ConnectionFailed';
}

/** undici wraps what happened (and several addresses' failures in an AggregateError without a message). */
function rootMessage(error: Error): string {
  if (error instanceof AggregateError && error.errors.length > 0) {
    return error.errors.map((e) => (e instanceof Error ? e.message : String(e))).join('; ');
  }
  if (error.message === '' && error.cause instanceof Error) return rootMessage(error.cause);
  return error.message;
}
