import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { ClientStats, WebAnswer } from './types.ts';

const ANSWER: WebAnswer = { cluster: 'west', pod: 'web-1', client: 'client.demo' };

test('the load begins with the first answer, and what failed or waited before it counts as neither', async (t) => {
  const asked: ServerResponse[] = [];
  let more = Promise.withResolvers<void>();
  const server = createServer((_request, response) => {
    asked.push(response);
    more.resolve();
  });
  const next = async (): Promise<ServerResponse> => {
    while (asked.length === 0) await more.promise;
    more = Promise.withResolvers();
    const response = asked.shift();
    assert.ok(response);
    return response;
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  // Of all of 127/8, where every process has its own.
  const podIp = `127.77.${(process.pid >> 8) & 255}.${process.pid & 255}`;
  const client = spawn(process.execPath, [fileURLToPath(new URL('main.ts', import.meta.url)), 'client'], {
    env: { TARGET: `http://127.0.0.1:${port}/`, POD_IP: podIp },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  t.after(async () => {
    client.kill('SIGKILL');
    server.closeAllConnections();
    server.close();
    await once(client, 'exit');
  });
  const stats = async (): Promise<ClientStats> =>
    (await (await fetch(`http://${podIp}:8080/stats`)).json()) as ClientStats;

  (await next()).writeHead(503).end();
  const first = await next();
  assert.deepEqual(await stats(), {
    requests: 0,
    failures: 0,
    byCluster: {},
    clientIdentity: null,
    firstAnswerAt: null,
    lastError: 'HTTP 503 ',
    latencyMs: { p50: 0, p99: 0 },
  });
  assert.equal(asked.length, 0, 'one asks until there is an answer');
  first.end(JSON.stringify(ANSWER));
  const load = [await next(), await next(), await next()];
  const { requests, failures, byCluster, latencyMs } = await stats();
  assert.deepEqual({ requests, failures, byCluster }, { requests: 1, failures: 0, byCluster: { west: 1 } });
  assert.deepEqual(latencyMs, { p50: 0, p99: 0 }, 'the first answer is none of the load');
  for (const response of load) response.end(JSON.stringify(ANSWER));
});
