import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loopbackApps } from '../testing/loopback-apps.ts';
import { Registry } from '../telemetry/registry.ts';

test('connections lead to 1,024 ports; beyond them a port gets none, and those that are known keep theirs', (t) => {
  const registry = new Registry();
  const apps = loopbackApps(registry);
  t.after(() => apps.destroy());
  const first = apps.app(1);
  assert.ok(first !== undefined);
  for (let port = 2; port <= 1_024; port++) assert.ok(apps.app(port) !== undefined, `port ${port}`);
  assert.equal(apps.app(1_025), undefined);
  assert.equal(apps.app(1), first);
});
