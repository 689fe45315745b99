import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { load } from 'js-yaml';
import { silentLog } from '../../../log/index.ts';
import { type ApiServer, type ApiServerOptions, createApiServer } from '../index.ts';
import { isObject, type JsonObject, text, valueAt } from '../json.ts';

export interface Answer {
  code: number;
  headers: IncomingMessage['headers'];
  body: JsonObject;
}

export interface WatchStream {
  /** The next event; rejects when the stream ends first. */
  next(): Promise<JsonObject>;
  /** Reads no more until the next `next`. */
  pause(): void;
  close(): void;
}

/** A server of its own for one test, and a client of it as the admin (or by token). */
export interface TestServer {
  server: ApiServer;
  dataDir: string;
  call: (method: string, path: string, body?: unknown, headers?: Record<string, string>) => Promise<Answer>;
  /** With a bearer token, or as nobody (''), and without the certificate. */
  callAs: (token: string, method: string, path: string, body?: unknown) => Promise<Answer>;
  watch: (path: string, headers?: Record<string, string>) => Promise<WatchStream>;
  /** `offline` gets the path of the database while no server has it open. */
  restart: (offline?: (database: string) => void) => Promise<void>;
}

export async function startTestServer(
  t: TestContext,
  options: Partial<ApiServerOptions> = {},
): Promise<TestServer> {
  const dataDir = await mkdtemp(join(tmpdir(), 'apiserver-'));
  const open = (): Promise<ApiServer> =>
    createApiServer({
      dataDir,
      address: '127.0.0.1',
      port: 0,
      clusterName: 'test',
      logger: silentLog,
      ...options,
    });
  const test: { server: ApiServer; agent: Agent; anonymous: Agent } = await prepare(await open());
  t.after(async () => {
    test.agent.destroy();
    test.anonymous.destroy();
    await test.server.close();
    await rm(dataDir, { recursive: true });
  });

  const send = async (
    agent: Agent,
    method: string,
    path: string,
    body: unknown,
    headers: Record<string, string>,
  ): Promise<IncomingMessage> => {
    const payload =
      body === undefined
        ? Buffer.alloc(0)
        : Buffer.isBuffer(body)
          ? body
          : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
    const request = httpsRequest(`${test.server.url}${path}`, {
      method,
      agent,
      headers: {
        'User-Agent': 'test/1',
        'Content-Type': 'application/json',
        'Content-Length': payload.length,
        ...headers,
      },
    });
    request.end(payload);
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    return response;
  };
  const answer = async (response: IncomingMessage): Promise<Answer> => {
    const chunks: Buffer[] = [];
    for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
    const content = Buffer.concat(chunks).toString('utf8');
    const body: unknown =
      response.headers['content-type']?.includes('json') === true ? JSON.parse(content) : { text: content };
    return { code: response.statusCode ?? 0, headers: response.headers, body: isObject(body) ? body : {} };
  };

  return {
    get server() {
      return test.server;
    },
    dataDir,
    async call(method, path, body, headers = {}) {
      return answer(await send(test.agent, method, path, body, headers));
    },
    async callAs(token, method, path, body) {
      return answer(
        await send(
          test.anonymous,
          method,
          path,
          body,
          token === '' ? {} : { Authorization: `Bearer ${token}` },
        ),
      );
    },
    async watch(path, headers = {}) {
      const response = await send(test.agent, 'GET', path, undefined, headers);
      const lines = createInterface({ input: response })[Symbol.asyncIterator]();
      return {
        async next() {
          response.resume();
          const line = await lines.next();
          if (line.done === true) throw new Error('the watch has ended');
          return JSON.parse(line.value) as JsonObject;
        },
        pause: () => response.pause(),
        close: () => response.destroy(),
      };
    },
    async restart(offline) {
      test.agent.destroy();
      test.anonymous.destroy();
      await test.server.close();
      offline?.(join(dataDir, 'state.db'));
      Object.assign(test, await prepare(await open()));
    },
  };
}

async function prepare(server: ApiServer): Promise<{ server: ApiServer; agent: Agent; anonymous: Agent }> {
  const config: unknown = load(server.adminKubeconfig());
  const users = valueAt(config, 'users');
  const user: unknown = Array.isArray(users) ? valueAt(users[0], 'user') : undefined;
  const decode = (field: string): Buffer => Buffer.from(text(valueAt(user, field)), 'base64');
  const ca = server.caCertificate;
  return {
    server,
    agent: new Agent({
      ca,
      cert: decode('client-certificate-data'),
      key: decode('client-key-data'),
      keepAlive: true,
    }),
    anonymous: new Agent({ ca, keepAlive: true }),
  };
}

export const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps';

export function configMap(
  name: string,
  data: Record<string, string> = {},
  metadata: JsonObject = {},
): JsonObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, ...metadata }, data };
}
