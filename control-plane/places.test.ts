import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { createSecureContext } from 'node:tls';
import { Registry } from 'prom-client';
import { type Log, silentLog } from '../kubernetes/log.ts';
import type { ServerTlsOptions } from '../workload-identity/types.ts';
import { Places } from './places.ts';
import { listenTls } from './tls-listener.ts';

const MINUTE = 60_000;
/** Nobody gets as far as a certificate here. */
const serverTls: ServerTlsOptions = {
  secureContext: createSecureContext(),
  isServer: true,
  requestCert: true,
  rejectUnauthorized: false,
};

function placesOf(descriptors: number) {
  const registry = new Registry();
  const told: object[] = [];
  const log: Log = { ...silentLog, warn: (fields) => void told.push(fields) };
  const clock = { at: 0, now: () => clock.at };
  const places = new Places({ descriptors, registry, clock, log });
  const refused = async (labels: string): Promise<number> => {
    const name = `isthmus_control_plane_connections_refused_total{${labels}}`;
    const line = (await registry.metrics()).split('\n').find((text) => text.startsWith(name));
    return Number(line?.split(' ').at(-1));
  };
  return { places, told, clock, refused };
}

function taken(places: Places): number {
  let count = 0;
  while (places.take('destination')) count++;
  return count;
}

test('the ports together leave 512 descriptors to the rest, and half of them where there are few', () => {
  assert.equal(taken(placesOf(2_048).places), 1_536);
  assert.equal(taken(placesOf(1_024).places), 512);
  assert.equal(taken(placesOf(101).places), 50);
  const { places } = placesOf(Infinity);
  assert.ok(places.take('policy'));
});

test('streams that stay keep no request for a certificate out', () => {
  for (const [descriptors, kept] of [
    [2_048, 128],
    [1_024, 128],
    [100, 12],
  ] as const) {
    const { places } = placesOf(descriptors);
    taken(places);
    for (let i = 0; i < kept; i++) assert.ok(places.take('identity'), `${i} of ${descriptors}`);
    assert.equal(places.take('identity'), false);
    places.leave();
    assert.equal(places.take('policy'), false);
    assert.ok(places.take('identity'));
  }
});

test('each refused connection is counted, and a line a minute tells of each lack', async () => {
  const { places, told, clock, refused } = placesOf(2);
  assert.ok(places.take('identity'));
  for (let i = 0; i < 3; i++) assert.equal(places.take('policy'), false);
  places.refuse('policy', 'too-many-connections');
  assert.deepEqual(told, [
    { service: 'policy', reason: 'too-few-descriptors' },
    { service: 'policy', reason: 'too-many-connections' },
  ]);
  clock.at = MINUTE;
  assert.equal(places.take('policy'), false);
  assert.equal(told.length, 3);
  assert.equal(await refused('service="policy",reason="too-few-descriptors"'), 4);
  assert.equal(await refused('service="identity",reason="too-few-descriptors"'), 0);
  places.leave();
  assert.ok(places.take('policy'));
});

test('a connection has its place until it is closed, and is closed where there is none', async (t) => {
  const { places, refused } = placesOf(4);
  const left = Promise.withResolvers<void>();
  const listener = await listenTls({
    host: '127.0.0.1',
    port: 0,
    service: 'policy',
    places: {
      take: (service) => places.take(service),
      leave: () => left.resolve(places.leave()),
      refuse: () => assert.fail('nothing else fails'),
    },
    identity: {
      serverOptions: () => serverTls,
      verifyPeer: () => assert.fail('no handshake ends'),
    },
    log: silentLog,
    onConnection: () => assert.fail('no handshake ends'),
  });
  const clients: Socket[] = [];
  t.after(async () => {
    for (const client of clients) client.destroy();
    await listener.close();
  });
  /** Connects, and says nothing. */
  const client = (): Socket => {
    const socket = connect(listener.port, '127.0.0.1');
    clients.push(socket.resume());
    return socket.on('error', () => {});
  };
  const first = client();
  await Promise.all([once(first, 'connect'), once(client(), 'connect')]);
  await once(client(), 'close');
  assert.equal(await refused('service="policy",reason="too-few-descriptors"'), 1);
  first.destroy();
  await left.promise;
  assert.ok(places.take('policy'));
  assert.equal(places.take('policy'), false);
});
