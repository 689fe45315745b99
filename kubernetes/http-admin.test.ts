import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { Counter, Gauge, Registry } from 'prom-client';
import { startAdmin } from './http-admin.ts';

test('live, ready with its reason, metrics, and nothing else', async (t) => {
  const registry = new Registry();
  new Counter({ name: 'things_total', help: 'Things.', registers: [registry] }).inc();
  let problem: string | undefined = 'the first lists have not ended';
  const admin = await startAdmin({ host: '127.0.0.1', port: 0, registry, ready: () => problem });
  t.after(() => admin.close());
  const get = async (path: string): Promise<[number, string]> => {
    const response = await fetch(`http://127.0.0.1:${admin.port}${path}`);
    return [response.status, await response.text()];
  };
  assert.deepEqual(await get('/live'), [200, 'live\n']);
  assert.deepEqual(await get('/ready'), [503, 'the first lists have not ended\n']);
  problem = undefined;
  assert.deepEqual(await get('/ready?x=1'), [200, 'ready\n']);
  assert.match((await get('/metrics'))[1], /things_total 1/);
  assert.equal((await get('/secrets'))[0], 404);
});

test('a port in use is an error that names it', async (t) => {
  const options = { host: '127.0.0.1', registry: new Registry(), ready: () => undefined };
  const first = await startAdmin({ ...options, port: 0 });
  t.after(() => first.close());
  await assert.rejects(
    startAdmin({ ...options, port: first.port }),
    new RegExp(`127\\.0\\.0\\.1:${first.port}.*EADDRINUSE`),
  );
});

test('a crowd that says nothing keeps no probe out: its oldest connections are closed', async (t) => {
  const crowd = 70;
  const registry = new Registry();
  const admin = await startAdmin({ host: '127.0.0.1', port: 0, registry, ready: () => undefined });
  const sockets = Array.from({ length: crowd }, () => connect(admin.port, '127.0.0.1').resume());
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    await admin.close();
  });
  const closed = sockets.map((socket) => once(socket, 'close'));
  for (const socket of sockets) socket.on('error', () => {});
  const probe = await fetch(`http://127.0.0.1:${admin.port}/live`);
  assert.equal(probe.status, 200);
  await Promise.all(closed.slice(0, crowd - 64));
  assert.equal(sockets.at(-1)?.closed, false);
});

test('a crowd does not cut off who waits for an answer, though the connection is the oldest', async (t) => {
  const registry = new Registry();
  const collecting = Promise.withResolvers<void>();
  const crowded = Promise.withResolvers<void>();
  const slow = new Gauge({
    name: 'slow',
    help: 'Takes its time.',
    registers: [],
    async collect() {
      collecting.resolve();
      await crowded.promise;
      this.set(1);
    },
  });
  registry.registerMetric(slow);
  const admin = await startAdmin({ host: '127.0.0.1', port: 0, registry, ready: () => undefined });
  const sockets: Socket[] = [];
  t.after(async () => {
    crowded.resolve();
    for (const socket of sockets) socket.destroy();
    await admin.close();
  });
  const scrape = fetch(`http://127.0.0.1:${admin.port}/metrics`).then((response) => response.text());
  await collecting.promise;
  for (let i = 0; i < 64; i++)
    sockets.push(
      connect(admin.port, '127.0.0.1')
        .resume()
        .on('error', () => {}),
    );
  // One is closed for the last that came.
  await Promise.race([...sockets.map((socket) => once(socket, 'close')), scrape]);
  crowded.resolve();
  assert.match(await scrape, /slow 1/);
});
