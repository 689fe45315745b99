import { Agent, request as httpsRequest, type RequestOptions } from 'node:https';
import type { IncomingMessage } from 'node:http';
import type { DialService } from './webhooks.ts';
import type { Webhook } from './webhook-config.ts';

/** Kubernetes' own defaults. */
const DEFAULT_TIMEOUT_SECONDS = 10;
const DEFAULT_SERVICE_PORT = 443;
/** As large as the largest object that a client may send, patched into base64. */
const MAX_ANSWER_BYTES = 8 * 1024 * 1024;
/** Connections kept to one webhook; reviews beyond them wait. */
const MAX_SOCKETS = 16;

/** Speaks HTTPS with webhooks: trusts the configuration's caBundle, names `<svc>.<ns>.svc` in TLS. */
export class WebhookClient {
  readonly #dialService: DialService;
  readonly #agent = new Agent({
    keepAlive: true,
    maxSockets: MAX_SOCKETS,
    maxFreeSockets: 2,
    timeout: 30_000,
  });

  constructor(dialService: DialService) {
    this.#dialService = dialService;
  }

  /** The webhook's answer to a review. Rejects with what went wrong on the way, worded for the client of the API. */
  async call(webhook: Webhook, review: object): Promise<unknown> {
    const seconds = webhook.timeoutSeconds ?? DEFAULT_TIMEOUT_SECONDS;
    const signal = AbortSignal.timeout(seconds * 1000);
    const url = targetUrl(webhook, seconds);
    try {
      return await this.#post(await this.#optionsFor(webhook, url, signal), JSON.stringify(review));
    } catch (error) {
      const why = signal.aborted
        ? 'context deadline exceeded'
        : error instanceof Error
          ? error.message
          : String(error);
      throw new Error(`failed to call webhook: Post ${JSON.stringify(url.href)}: ${why}`, { cause: error });
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  async #optionsFor({ clientConfig }: Webhook, url: URL, signal: AbortSignal): Promise<RequestOptions> {
    const { service, caBundle } = clientConfig;
    const at =
      service === undefined
        ? { address: url.hostname, port: Number(url.port || DEFAULT_SERVICE_PORT) }
        : await this.#dialService({
            namespace: service.namespace,
            name: service.name,
            port: service.port ?? DEFAULT_SERVICE_PORT,
          });
    return {
      method: 'POST',
      host: at.address,
      port: at.port,
      path: url.pathname + url.search,
      // An address can't be named in TLS.
      ...(/^[\d.]+$|:/.test(url.hostname) ? {} : { servername: url.hostname }),
      ...(caBundle === undefined || caBundle === '' ? {} : { ca: Buffer.from(caBundle, 'base64') }),
      headers: { Host: url.host, 'Content-Type': 'application/json', Accept: 'application/json' },
      agent: this.#agent,
      signal,
    };
  }

  #post(options: RequestOptions, body: string): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const outgoing = httpsRequest(options, (response) => {
        readAnswer(response).then(resolve, reject);
      });
      outgoing.once('error', reject);
      outgoing.end(body);
    });
  }
}

function targetUrl({ clientConfig }: Webhook, seconds: number): URL {
  const { service, url: given } = clientConfig;
  const url =
    service === undefined
      ? new URL(given ?? '')
      : new URL(
          `https://${service.name}.${service.namespace}.svc:${service.port ?? DEFAULT_SERVICE_PORT}${service.path ?? '/'}`,
        );
  url.searchParams.set('timeout', `${seconds}s`);
  return url;
}

async function readAnswer(response: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_ANSWER_BYTES)
      throw new Error(`the webhook's answer is larger than ${MAX_ANSWER_BYTES} bytes`);
    chunks.push(chunk);
  }
  if (response.statusCode !== 200)
    throw new Error(`the server answered with HTTP status ${response.statusCode ?? 0}, expected 200`);
  return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown;
}
