import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { ProxyConfig } from '../config.ts';
import { port } from '../../api/names.ts';
import { LowestLevel, silentLog } from '../../log/index.ts';
import type { Proxy } from '../proxy.ts';
import { exposition } from '../telemetry/exposition.ts';
import { TestMesh } from '../testing/mesh/test-mesh.ts';
import { resources, until } from '../testing/resources.ts';
import { untold } from '../testing/untold.ts';
import { type MakeWarmUpWay, warmUp, type WarmedUp, type WarmUpLimits } from './warm-up.ts';
import { throughSidecar } from './warm-up-way.ts';
import { Warming } from './warming.ts';

/** ms that no machine takes. */
const LONG = 60_000;

describe('warm-up', () => {
  let mesh: TestMesh;
  let proxy: Proxy;
  let config: ProxyConfig;

  before(async () => {
    mesh = await TestMesh.create();
    const east = await mesh.cluster('east');
    const pod = mesh.pod(east, 'web');
    ({ proxy } = await mesh.sidecar(east, pod));
    config = {
      ...mesh.meshConfig(pod),
      ports: port,
      ingress: false,
      adminShutdown: false,
      mode: 'explicit',
      defaultPolicy: 'deny',
      clusterNetworks: [],
      opaquePorts: new Set(),
      appPorts: new Set(),
      probes: new Map(),
    };
  });
  after(() => mesh.close());

  /** A warm-up that is not left out. */
  async function warmedUp(of: ProxyConfig, busy: () => boolean, limits: WarmUpLimits): Promise<WarmedUp> {
    const done = await warmUp(throughSidecar(of, proxy.identity), proxy.identity, busy, limits);
    assert.ok(done !== undefined);
    return done;
  }

  test('goes out and in again over mutual TLS, and leaves no trace in the metrics', async () => {
    const { answered, end } = await warmedUp(config, () => false, { requests: 50, ms: LONG });
    assert.ok(answered >= 50, `${answered} were answered`);
    await end();
    let text = '';
    for await (const slice of exposition(proxy.registry)) text += slice;
    assert.match(text, /^# HELP/m);
    assert.doesNotMatch(text, /^(request_total|tcp_open_total)\{/m);
    assert.equal(proxy.busy, false);
  });

  test('stands in no access log, and makes no spans', async (t) => {
    const told = await untold(t);
    const { answered, end } = await warmedUp({ ...config, ...told.settings }, () => false, {
      requests: 5,
      ms: LONG,
    });
    assert.ok(answered >= 5);
    // A proxy has told all when its drain is over, which the end waits for.
    await end();
    told.check();
  });

  test('ends when there is real work', async () => {
    let looks = 0;
    const { answered, end } = await warmedUp(config, () => ++looks > 10, {
      requests: 1_000_000,
      ms: LONG,
    });
    await end();
    assert.ok(answered < 40, `${answered} were answered`);
  });

  test('ends with the first answer when its time is over', async () => {
    const { answered, end } = await warmedUp(config, () => false, {
      requests: 1_000_000,
      ms: 0,
    });
    await end();
    assert.equal(answered, 1);
  });

  test('a drain ends it, and what it leaves', async () => {
    const makeWay = throughSidecar(config, proxy.identity);
    let drained = 0;
    const endsMeanwhile: MakeWarmUpWay = async (appPort) => {
      const way = await makeWay(appPort);
      await warming.end();
      return {
        port: way.port,
        stopListening: () => way.stopListening(),
        drain() {
          drained++;
          return way.drain();
        },
      };
    };
    const warming = new Warming(endsMeanwhile, proxy.identity, () => false);
    const unasked = (): void => assert.fail('there is nothing to rehearse, nor to settle');
    await warming.run({
      log: silentLog,
      logLevel: new LowestLevel('silent'),
      shutDown: unasked,
      rehearsedBy: unasked,
      settled: unasked,
    });
    assert.equal(drained, 1);
  });

  test('is left out when there is real work already', async () => {
    const way = throughSidecar(config, proxy.identity);
    assert.equal(await warmUp(way, proxy.identity, () => true), undefined);
  });

  test('leaves requests that stand still, and again, wherever real work has ended it', async () => {
    for (const work of [2, 10, 28, 34]) {
      let looks = 0;
      const busy = (): boolean => ++looks > work;
      const { again, end } = await warmedUp(config, busy, { requests: 1_000_000, ms: LONG });
      assert.equal(await again(), true);
      await end();
    }
  });

  test('leaves requests that stand still, and nobody can connect to', async () => {
    const before = resources();
    const { again, end } = await warmedUp(config, () => false, { requests: 50, ms: LONG });
    assert.equal(await again(), true);
    await until(() => resources().listeners <= before.listeners);
    const standing = resources();
    await end();
    // Of each the client's and the app's connection, at both their ends, and one between the two sides of the proxy.
    await until(() => resources().connections <= standing.connections - 4 * 4 - 2);
  });
});
