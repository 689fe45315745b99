import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { ProxyConfig } from './config.ts';
import { port } from '../api/names.ts';
import type { Proxy } from './proxy.ts';
import { freshAddress } from '../test/testing/addresses.ts';
import { exposition } from './telemetry/exposition.ts';
import { FakeCollector } from './testing/otlp.ts';
import { TestMesh } from './testing/mesh/test-mesh.ts';
import { warmUp } from './warm-up.ts';

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

  test('goes out and in again over mutual TLS, and leaves no trace in the metrics', async () => {
    const answered = await warmUp(config, proxy.identity, () => false, { requests: 50, ms: LONG });
    assert.ok(answered >= 50, `${answered} were answered`);
    let text = '';
    for await (const slice of exposition(proxy.registry)) text += slice;
    assert.match(text, /^# HELP/m);
    assert.doesNotMatch(text, /^(request_total|tcp_open_total)\{/m);
    assert.equal(proxy.busy, false);
  });

  test('stands in no access log, and makes no spans', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'isthmus-warm-up-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const collector = new FakeCollector();
    t.after(() => collector.stop());
    const file = join(folder, 'access.log');
    const told: ProxyConfig = {
      ...config,
      accessLog: { format: 'json', file },
      traces: {
        collector: await collector.start(freshAddress()),
        identity: undefined,
        sampling: 1,
        serviceName: 'web',
      },
    };
    assert.ok((await warmUp(told, proxy.identity, () => false, { requests: 5, ms: LONG })) >= 5);
    // A proxy has told all when its drain is over, which the warm-up waits for.
    assert.equal(existsSync(file), false);
    assert.deepEqual(collector.spans, []);
  });

  test('ends when there is real work', async () => {
    let looks = 0;
    const answered = await warmUp(config, proxy.identity, () => ++looks > 10, {
      requests: 1_000_000,
      ms: LONG,
    });
    assert.ok(answered < 40, `${answered} were answered`);
  });

  test('ends with the first answer when its time is over', async () => {
    assert.equal(await warmUp(config, proxy.identity, () => false, { requests: 1_000_000, ms: 0 }), 1);
  });

  test('is left out when there is real work already', async () => {
    assert.equal(await warmUp(config, proxy.identity, () => true), 0);
  });
});
