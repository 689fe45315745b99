import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { awaitReady } from './await-ready.ts';

async function admin(t: { after(work: () => void): void }, answers: number[]): Promise<string> {
  const server = createServer((_request, response) => {
    const [status = 200] = answers.length > 1 ? answers.splice(0, 1) : answers;
    response.writeHead(status).end('the identity is not certified\n');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/ready`;
}

test('it ends as soon as the sidecar is ready', async (t) => {
  const answers = [503, 503, 200];
  await awaitReady(await admin(t, answers), 60_000);
  assert.deepEqual(answers, [200]);
});

test('a sidecar that is not listening yet is asked again', async (t) => {
  const server = createServer((_request, response) => response.end());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  const waiting = awaitReady(`http://127.0.0.1:${port}/ready`, 60_000);
  const late = createServer((_request, response) => response.end());
  t.after(() => {
    late.close();
    late.closeAllConnections();
  });
  late.listen(port, '127.0.0.1');
  await waiting;
});

test('in the end it says why the sidecar is not ready', async (t) => {
  const url = await admin(t, [503]);
  await assert.rejects(awaitReady(url, 0), /not ready after 0 s: the identity is not certified/);
});
