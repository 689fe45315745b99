import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freshAddress } from './testing/mesh/test-mesh.ts';
import { shownEnv, startAdmin } from './admin.ts';
import { Registry } from './telemetry/registry.ts';

test('the environment is shown without secrets and without what is not ours', () => {
  const shown = shownEnv({
    ISTHMUS_CLUSTER_NAME: 'east',
    ISTHMUS_IDENTITY_TOKEN_FILE: '/var/run/token',
    ISTHMUS_SOME_TOKEN: 'hush',
    POD_IP: '127.0.0.1',
    AWS_SECRET_ACCESS_KEY: 'hush',
    HOME: '/root',
  });
  assert.deepEqual(shown, {
    ISTHMUS_CLUSTER_NAME: 'east',
    ISTHMUS_IDENTITY_TOKEN_FILE: '/var/run/token',
    ISTHMUS_SOME_TOKEN: '(set)',
    POD_IP: '127.0.0.1',
  });
});

test('live, ready with its reason, metrics; a taken port is named', async (t) => {
  const registry = new Registry();
  registry.counter('request_total', 'Requests').cell().add(2);
  let reason: string | undefined = 'not yet';
  const options = { host: freshAddress(), port: 4191, registry, unready: () => reason, env: {} };
  const admin = await startAdmin(options);
  t.after(() => admin.close());
  const get = (path: string, method = 'GET') => fetch(`http://${options.host}:4191${path}`, { method });
  assert.equal((await get('/live')).status, 200);
  const unready = await get('/ready');
  assert.equal(unready.status, 503);
  assert.equal(await unready.text(), 'not yet\n');
  reason = undefined;
  assert.equal((await get('/ready')).status, 200);
  assert.match(await (await get('/metrics')).text(), /^request_total 2$/m);
  assert.equal((await get('/shutdown', 'POST')).status, 405);
  assert.equal((await get('/other')).status, 404);
  await assert.rejects(startAdmin(options), new RegExp(`${options.host}:4191 cannot be opened`));
});
