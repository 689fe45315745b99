import assert from 'node:assert/strict';
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { networkInterfaces } from 'node:os';
import { test, type TestContext } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { freshAddress } from '../test/testing/addresses.ts';
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
  const ask = (path: string, method = 'GET') => fetch(`http://${options.host}:4191${path}`, { method });
  assert.equal((await ask('/live')).status, 200);
  const unready = await ask('/ready');
  assert.equal(unready.status, 503);
  assert.equal(await unready.text(), 'not yet\n');
  reason = undefined;
  assert.equal((await ask('/ready')).status, 200);
  assert.match(await (await ask('/metrics')).text(), /^request_total 2$/m);
  assert.equal((await ask('/shutdown', 'POST')).status, 404);
  assert.equal((await ask('/ready', 'POST')).status, 405);
  assert.equal((await ask('/other')).status, 404);
  await assert.rejects(startAdmin(options), new RegExp(`${options.host}:4191 cannot be opened`));
});

test('a reader that pauses gets all of a large exposition', async (t) => {
  const registry = new Registry();
  const family = registry.histogram('latency', 'Latency');
  const label = 'as long as real ones '.repeat(10);
  for (let i = 0; i < 1_000; i++) family.cell({ i: String(i), label }).observe(i);
  const options = { host: freshAddress(), port: 0, registry, unready: () => undefined, env: {} };
  const admin = await startAdmin(options);
  t.after(() => admin.close());
  const [answer] = (await once(
    get({ host: options.host, port: admin.port, path: '/metrics', agent: false }),
    'response',
  )) as [IncomingMessage];
  // More than the kernel's buffers hold: meanwhile the server has to stop.
  for (let turn = 0; turn < 1_000; turn++) await nextTurn();
  let text = '';
  for await (const chunk of answer) text += String(chunk);
  assert.equal(text.split('\n').filter((line) => line.startsWith('latency_bucket')).length, 26 * 1_000);
});

/** Admin ports of all addresses, and how often a shutdown was asked for. */
async function stoppable(t: TestContext) {
  let asked = 0;
  const admin = await startAdmin({
    host: '::',
    port: 0,
    registry: new Registry(),
    unready: () => undefined,
    env: {},
    shutDown: () => asked++,
  });
  t.after(() => admin.close());
  return { admin, asked: () => asked };
}

test('a shutdown is asked for by POST over loopback, and answered before it begins', async (t) => {
  const { admin, asked } = await stoppable(t);
  const ask = (method: string) => fetch(`http://127.0.0.1:${admin.port}/shutdown`, { method });
  assert.equal((await ask('GET')).status, 405);
  assert.equal(asked(), 0);
  assert.equal((await ask('POST')).status, 200);
  assert.equal(asked(), 1);
});

test('nobody from outside the pod shuts it down', async (t) => {
  const outside = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ internal, family }) => !internal && family === 'IPv4')?.address;
  if (outside === undefined) return t.skip('this machine has no address but loopback');
  const { admin, asked } = await stoppable(t);
  const answer = await fetch(`http://${outside}:${admin.port}/shutdown`, { method: 'POST' });
  assert.equal(answer.status, 403);
  assert.equal(asked(), 0);
});
