import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { StandingRequests } from './standing-requests.ts';
import { chooseTransport } from '../transport/choose.ts';
import { WarmUpApp, WarmUpClient } from './warm-up-ends.ts';

const HOST = '127.0.0.1';
const { wrap } = await chooseTransport();

async function startApp(t: TestContext): Promise<WarmUpApp> {
  const app = await WarmUpApp.start(wrap, HOST, 10);
  t.after(() => app.stop());
  return app;
}

/** Has two connections to the app that are kept. */
async function clientOf(t: TestContext, app: WarmUpApp): Promise<WarmUpClient> {
  const client = new WarmUpClient(wrap, 'app.test:80', (done) => done < 4, 2);
  t.after(() => client.stop());
  await client.run(HOST, app.port, 2);
  return client;
}

test('requests stand, again and again', async (t) => {
  const app = await startApp(t);
  const standing = new StandingRequests(await clientOf(t, app), app);
  assert.equal(await standing.ask(), true);
  assert.equal(await standing.again(), true);
  assert.equal(await standing.again(), true);
});

test('requests that somebody else answers do not stand', async (t) => {
  const between = await startApp(t);
  const standing = new StandingRequests(await clientOf(t, between), await startApp(t));
  assert.equal(await standing.ask(), false);
  assert.equal(await standing.again(), false);
});

test('requests whose connections end do not stand, nor does one without a connection', async (t) => {
  const app = await startApp(t);
  const standing = new StandingRequests(await clientOf(t, app), app);
  assert.equal(await standing.ask(), true);
  app.stop();
  assert.equal(await standing.again(), false);
  assert.equal(await standing.again(), false);
});
