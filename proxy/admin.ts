import { createServer, type ServerResponse } from 'node:http';
import { exposition, EXPOSITION_TYPE } from './telemetry/exposition.ts';
import type { Registry } from './telemetry/registry.ts';

export interface AdminOptions {
  host: string;
  port: number;
  registry: Registry;
  /** Why requests cannot be served now; undefined: they can. */
  unready: () => string | undefined;
  /** Shown by `/env.json`. */
  env: NodeJS.ProcessEnv;
}

/** Names of variables whose values are shown: our own settings and the downward API's. What else is in the environment is nobody's business. */
const SHOWN = /^(ISTHMUS_|POD_|NODE_NAME$|SERVICE_ACCOUNT$)/;
/** Values that could be secrets are not shown, only that they are set. Names of files are no secrets. */
const SECRET = /(TOKEN|SECRET|PASSWORD|KEY)(?!.*_FILE$)/;

/** The admin server: `/live`, `/ready`, `/metrics`, `/env.json`. Rejects with an error that names the address when it is taken. */
export async function startAdmin(options: AdminOptions): Promise<{ close(): void }> {
  const server = createServer((request, response) => {
    const path = request.url?.split('?')[0];
    if (request.method !== 'GET' && request.method !== 'HEAD') text(response, 405, 'only GET');
    else if (path === '/live') text(response, 200, 'live');
    else if (path === '/ready') {
      const reason = options.unready();
      text(response, reason === undefined ? 200 : 503, reason ?? 'ready');
    } else if (path === '/env.json') json(response, shownEnv(options.env));
    else if (path === '/metrics') {
      writeMetrics(response, options.registry).catch(() => response.destroy());
    } else text(response, 404, 'there are /live, /ready, /metrics and /env.json');
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      reject(new Error(`the admin port ${options.host}:${options.port} cannot be opened: ${error.message}`));
    });
    server.listen(options.port, options.host, resolve);
  });
  return {
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function writeMetrics(response: ServerResponse, registry: Registry): Promise<void> {
  response.writeHead(200, { 'content-type': EXPOSITION_TYPE });
  for await (const slice of exposition(registry)) {
    if (response.destroyed) return;
    response.write(slice);
  }
  response.end();
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
