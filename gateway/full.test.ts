import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { after, describe, test } from 'node:test';
import { component, port } from '../api/names.ts';
import { DEFAULT_LIMITS } from '../proxy/config.ts';
import { ask, metricSum } from '../proxy/testing/mesh/http.ts';
import { dialIsthmus, type IsthmusClient } from '../proxy/testing/mesh/isthmus-client.ts';
import type { TestPod } from '../proxy/testing/mesh/test-mesh.ts';
import { twoClusters } from './testing/two-clusters.ts';

/** Three places, and four last ones. */
const PLACES = 3;
const LAST = 4;
const LIMITS = { ...DEFAULT_LIMITS, maxConnections: PLACES + LAST };

const READY = [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':path', '/ready'],
  [':authority', 'gateway'],
] as const;

const held: ServerResponse[] = [];
let arrived = (): void => {};

const { mesh, east, west, client, gateway } = await twoClusters({
  app: (incoming, response) => {
    if (incoming.url !== '/hold') return response.end(incoming.url);
    held.push(response);
    return arrived();
  },
  config: (part) => (part === 'gateway' ? { limits: LIMITS } : {}),
});

/** Each client's sidecar keeps one connection. */
describe('a gateway that has as many connections as it takes', () => {
  after(() => mesh.close());

  async function clientOf(name: string): Promise<TestPod> {
    const pod = mesh.pod(east, name);
    await mesh.sidecar(east, pod);
    return pod;
  }

  const get = async ({ ip }: TestPod, path = '/'): Promise<number> =>
    (await ask(ip, `http://web-west.shop${path}`)).status;
  const refused = (reason = 'too-many-connections') =>
    metricSum(gateway.ip, 'inbound_connections_refused_total', reason);

  /** Runs while all places but the last ones are busy clients'. */
  async function whileBusy(prefix: string, run: () => Promise<void>): Promise<void> {
    const answers: Promise<number>[] = [];
    for (let i = 0; i < PLACES; i++) {
      const busy = await clientOf(`${prefix}-${i}`);
      const { promise, resolve } = Promise.withResolvers<void>();
      arrived = resolve;
      answers.push(get(busy, '/hold'));
      await promise;
    }
    await run();
    for (const response of held.splice(0)) response.end();
    assert.deepEqual(await Promise.all(answers), [200, 200, 200]);
  }

  test('none gives way to a client that would be refused all it asks for', async () => {
    const friend = await mesh.identity(east, mesh.pod(east, 'friend'));
    const idle: IsthmusClient[] = [];
    for (let i = 0; i < PLACES; i++) {
      const one = await dialIsthmus(friend, gateway);
      assert.equal((await one.ask(READY)).status, 200);
      idle.push(one);
    }
    const own = await mesh.identity(west, mesh.pod(west, 'own'));
    await assert.rejects((await dialIsthmus(own, gateway)).ask(READY), /without an answer/);
    assert.equal(await refused(), 1);
    const speechless = connectTls({
      ...friend.clientOptions({ alpn: [], expect: gateway }),
      host: gateway.ip,
      port: port.inbound,
    });
    await once(speechless.resume(), 'close');
    assert.equal(await refused('no-protocol'), 1);
    for (const one of idle) {
      assert.equal((await one.ask(READY)).status, 200);
      one.close();
    }
  });

  test('idle connections give way: all of many more clients are served, again and again', async () => {
    const before = await refused();
    const clients = [client];
    for (let i = 1; i < 3 * PLACES; i++) clients.push(await clientOf(`client-${i}`));
    for (let round = 0; round < 3; round++) {
      for (const one of clients) assert.equal(await get(one), 200);
    }
    assert.equal(await refused(), before);
  });

  test('all are busy: a further client is refused, a mirror controller’s probe is not', async () => {
    await whileBusy('busy', async () => {
      const late = mesh.pod(east, 'late');
      await mesh.sidecar(east, late, mesh.fast(late));
      const before = await refused();
      assert.equal(await get(late), 502);
      assert.ok((await refused()) > before);
      assert.equal(await probe(), 200);
    });
    assert.equal(await get(await clientOf('later')), 200);
  });

  for (const [whose, first] of [
    ['are silent', ''],
    ['begin a handshake and go no further', '\x16'],
  ] as const) {
    test(`connections without a certificate that ${whose} keep no probe out`, async () => {
      await whileBusy('held', async () => {
        const before = await refused('too-many-handshakes');
        const strangers = Array.from({ length: LAST }, () => connect(port.inbound, gateway.ip));
        for (const stranger of strangers) stranger.on('error', () => {});
        await Promise.all(strangers.map((stranger) => once(stranger, 'connect')));
        for (const stranger of strangers) stranger.write(first);
        assert.equal(await probe(), 200);
        assert.ok((await refused('too-many-handshakes')) > before);
        for (const stranger of strangers) stranger.destroy();
      });
    });
  }

  async function probe(): Promise<number> {
    const prober = await dialIsthmus(
      await mesh.identity(east, mesh.pod(east, component.mirrorController, 'isthmus')),
      gateway,
    );
    const { status } = await prober.ask(READY);
    prober.close();
    return status;
  }
});
