import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseTransport } from '../transport/choose.ts';
import { WarmUpApp, WarmUpClient } from './warm-up-ends.ts';

const HOST = '127.0.0.1';
const SERVICE = 'app.test:80';

test('some connections stay, each with a request that is not answered until it may be', async () => {
  const { wrap } = await chooseTransport();
  const app = await WarmUpApp.start(wrap, HOST, 10);
  const client = new WarmUpClient(wrap, SERVICE, (done) => done < 20, 2);
  assert.equal(await client.run(HOST, app.port, 5), 20);
  assert.equal(client.open, 2);
  for (let i = 0; i < 2; i++) {
    let answered = false;
    const answers = Promise.all(client.askAgain()).then(() => (answered = true));
    await app.standStill(2);
    assert.equal(answered, false);
    app.goOn();
    await answers;
  }
  client.stop();
  app.stop();
});

test('what waits for requests that do not come ends with the app', async () => {
  const { wrap } = await chooseTransport();
  const app = await WarmUpApp.start(wrap, HOST, 10);
  const still = app.standStill(1);
  app.stop();
  await still;
});

test('a client whose connections are all refused is over', async () => {
  const { wrap } = await chooseTransport();
  const app = await WarmUpApp.start(wrap, HOST, 10);
  const { port } = app;
  app.stop();
  const client = new WarmUpClient(wrap, SERVICE, () => true, 1);
  assert.equal(await client.run(HOST, port, 3), 0);
});
