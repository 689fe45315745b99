import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConnectionTracker } from '../telemetry/connections.ts';
import { Registry } from '../telemetry/registry.ts';
import { TcpMetrics } from '../telemetry/tcp-metrics.ts';
import { wrapStream } from '../transport/stream-transport.ts';
import { TimerWheel } from '../transport/timers.ts';
import { Apps } from './apps.ts';

test('connections lead to 1,024 ports; beyond them a port gets none, and those that are known keep theirs', (t) => {
  const registry = new Registry();
  const apps = new Apps({
    podIp: '127.0.0.1',
    connectMs: 1_000,
    wrap: wrapStream,
    timers: new TimerWheel(() => 0),
    tcp: new TcpMetrics(registry),
    tracker: new ConnectionTracker(registry, () => 0),
    random: () => 0.5,
  });
  t.after(() => apps.destroy());
  const first = apps.app(1);
  assert.ok(first !== undefined);
  for (let port = 2; port <= 1_024; port++) assert.ok(apps.app(port) !== undefined, `port ${port}`);
  assert.equal(apps.app(1_025), undefined);
  assert.equal(apps.app(1), first);
});
