import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ask } from '../proxy/testing/mesh/http.ts';
import { mirrorEndpoint } from '../proxy/testing/mesh/test-mesh.ts';
import { freshAddress } from '../test/testing/addresses.ts';
import { FakeCollector } from '../proxy/testing/otlp.ts';
import { TARGET, twoClusters } from './testing/two-clusters.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SAMPLED = { traceparent: `00-${TRACE}-b7ad6b7169203331-01` };

test('a gateway is a span between those of the sidecars, and logs who asked for what, also whom it turned away', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-gateway-log-'));
  const file = join(folder, 'access.log');
  const collector = new FakeCollector();
  const at = await collector.start(freshAddress());
  const { mesh, east, client, server, gateway, replica } = await twoClusters({
    config: (part) => ({
      traces: { collector: at, identity: undefined, sampling: 0, serviceName: part },
      ...(part === 'gateway' ? { accessLog: { format: 'json', file } } : {}),
    }),
  });
  try {
    east.controlPlane.setService('db-west.shop:80', [
      mirrorEndpoint(gateway, 'db.shop.svc.cluster.local:80'),
    ]);
    assert.equal((await ask(client.ip, 'http://web-west.shop/', { headers: SAMPLED })).status, 200);
    await collector.until(3);
    const of = (name: string) => collector.spans.find(({ resource }) => resource['service.name'] === name);
    const [first, middle, last] = [of('client'), of('gateway'), of('server')];
    assert.deepEqual([middle?.parentId, last?.parentId], [first?.spanId, middle?.spanId]);
    assert.deepEqual(
      ['isthmus.direction', 'isthmus.authority', 'isthmus.client_id', 'isthmus.server_id'].map(
        (name) => middle?.attributes[name],
      ),
      ['gateway', TARGET, client.spiffeId, server.spiffeId],
    );
    assert.equal((await ask(client.ip, 'http://db-west.shop/secret')).status, 404);
    await replica.drain();
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    const told = lines.map((line) => JSON.parse(line) as Record<string, string | number>);
    assert.deepEqual(
      told.map((entry) => [entry['client.id'], entry['host'], entry['status'], entry['trace_id']]),
      [
        [client.spiffeId, 'web-west.shop', 200, TRACE],
        [client.spiffeId, 'db-west.shop', 404, ''],
      ],
    );
  } finally {
    await mesh.close();
    collector.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});
