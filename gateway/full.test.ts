import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { after, describe, test } from 'node:test';
import { component } from '../api/names.ts';
import { DEFAULT_LIMITS } from '../proxy/config.ts';
import { ask, metricSum } from '../proxy/testing/mesh/http.ts';
import { dialIsthmus } from '../proxy/testing/mesh/isthmus-client.ts';
import type { TestPod } from '../proxy/testing/mesh/test-mesh.ts';
import { twoClusters } from './testing/two-clusters.ts';

/** Three places, and two last ones. */
const PLACES = 3;
const LIMITS = { ...DEFAULT_LIMITS, maxConnections: PLACES + 2 };

const held: ServerResponse[] = [];
let arrived = (): void => {};

const { mesh, east, client, gateway } = await twoClusters({
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
  const open = () => metricSum(gateway.ip, 'tcp_open_connections', 'direction="inbound"');
  const refused = () => metricSum(gateway.ip, 'inbound_connections_refused_total', 'too-many-connections');

  test('idle connections give way: all of many more clients are served, again and again', async () => {
    const clients = [client];
    for (let i = 1; i < 3 * PLACES; i++) clients.push(await clientOf(`client-${i}`));
    for (let round = 0; round < 3; round++) {
      for (const one of clients) assert.equal(await get(one), 200);
    }
    assert.ok((await open()) <= LIMITS.maxConnections);
  });

  test('all are busy: a further client is refused, a mirror controller’s probe is not', async () => {
    const answers: Promise<number>[] = [];
    for (let i = 0; i < PLACES; i++) {
      const busy = await clientOf(`busy-${i}`);
      const { promise, resolve } = Promise.withResolvers<void>();
      arrived = resolve;
      answers.push(get(busy, '/hold'));
      await promise;
    }
    const late = mesh.pod(east, 'late');
    await mesh.sidecar(east, late, mesh.fast(late));
    assert.equal(await get(late), 502);
    assert.ok((await refused()) >= 1);
    assert.equal(await probe(), 200);
    for (const response of held) response.end();
    assert.deepEqual(await Promise.all(answers), [200, 200, 200]);
    // It is left alone for a while after a connection that came to nothing.
    while ((await get(late)) !== 200);
  });

  async function probe(): Promise<number> {
    const prober = await dialIsthmus(
      await mesh.identity(east, mesh.pod(east, component.mirrorController, 'isthmus')),
      gateway,
    );
    const { status } = await prober.ask([
      [':method', 'GET'],
      [':scheme', 'https'],
      [':path', '/ready'],
      [':authority', 'gateway'],
    ]);
    prober.close();
    return status;
  }
});
