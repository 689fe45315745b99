import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { ask, causeOf, metricSum, startApp, type Answer, type TestApp } from './testing/mesh/http.ts';
import { meshedEndpoint, TestMesh, type TestCluster, type TestPod } from './testing/mesh/test-mesh.ts';

/** ms that no test waits for: who fails by it has waited in vain. */
const LONG_MS = 60_000;
const SHORT_MS = 300;

interface Server {
  readonly pod: TestPod;
  readonly app: TestApp;
  readonly stop: () => Promise<void>;
}

describe('endpoints that cannot be reached', () => {
  let mesh: TestMesh;
  let east: TestCluster;
  let patient: TestPod;
  let hasty: TestPod;
  const agent = new Agent({ keepAlive: true, maxSockets: 32 });

  before(async () => {
    mesh = await TestMesh.create();
    east = await mesh.cluster('east');
    patient = await client(LONG_MS);
    hasty = await client(SHORT_MS);
  });
  after(async () => {
    agent.destroy();
    await mesh.close();
  });

  async function client(failFastMs: number): Promise<TestPod> {
    const pod = mesh.pod(east, 'client');
    await mesh.sidecar(east, pod, { times: mesh.meshConfig(pod, { failFastMs }).times });
    return pod;
  }

  async function startServer(): Promise<Server> {
    const pod = mesh.pod(east, 'server');
    const app = await startApp(mesh, pod.ip, (incoming, response) => void incoming.pipe(response));
    const sidecar = await mesh.sidecar(east, pod);
    return { pod, app, stop: () => sidecar.drain() };
  }

  /** Resolves once so many requests wait for an endpoint. */
  async function queued(at: TestPod, name: string, n: number): Promise<void> {
    while ((await metricSum(at.ip, 'outbound_http_balancer_queue_length', name)) < n);
  }

  /** Resolves once an endpoint is ready, without asking for it. */
  async function ready(at: TestPod, name: string): Promise<void> {
    while ((await metricSum(at.ip, 'outbound_http_balancer_endpoints', name, 'state="ready"')) < 1);
  }

  const body = (i: number): string => `body ${i}`;

  const post = (from: TestPod, name: string, i: number): Promise<Answer> =>
    ask(from.ip, `http://${name}/`, { method: 'POST', body: body(i), agent });

  test('the only one goes and comes back: requests that came in between wait, and none is lost', async () => {
    const { pod, app, stop } = await startServer();
    east.controlPlane.setService('one.shop:80', [meshedEndpoint(pod, app.port)]);
    assert.equal((await post(patient, 'one.shop', 0)).status, 200);
    await stop();
    const waiting = Array.from({ length: 20 }, (_, i) => post(patient, 'one.shop', i));
    await queued(patient, 'one.shop', 2);
    await mesh.sidecar(east, pod);
    for (const [i, answer] of (await Promise.all(waiting)).entries())
      assert.deepEqual([answer.status, causeOf(answer), answer.body.toString()], [200, undefined, body(i)]);
  });

  test('it stays away: requests fail after the fail-fast time, then at once, and go when it is back', async () => {
    const { pod, app, stop } = await startServer();
    east.controlPlane.setService('gone.shop:80', [meshedEndpoint(pod, app.port)]);
    await stop();
    const first = await post(hasty, 'gone.shop', 0);
    assert.deepEqual([first.status, causeOf(first)], [504, 'fail-fast']);
    const next = await post(hasty, 'gone.shop', 0);
    assert.deepEqual([next.status, causeOf(next)], [504, 'fail-fast']);
    await mesh.sidecar(east, pod);
    await ready(hasty, 'gone.shop');
    assert.equal((await post(hasty, 'gone.shop', 1)).status, 200, 'no request was the price of finding out');
  });

  test('a server without a sidecar that stays away is found again without a request, too', async () => {
    const pod = mesh.pod(east, 'server');
    const app = await startApp(mesh, pod.ip, (incoming, response) => void incoming.pipe(response));
    app.server.close();
    await once(app.server, 'close');
    east.controlPlane.setService('plain.shop:80', [{ address: pod.ip, port: app.port }]);
    assert.equal((await post(hasty, 'plain.shop', 0)).status, 504);
    app.server.listen(app.port, pod.ip);
    await ready(hasty, 'plain.shop');
    assert.equal((await post(hasty, 'plain.shop', 1)).status, 200);
  });

  test('all but one are away: no request fails, however many it meets', async () => {
    const { pod, app } = await startServer();
    const gone = Array.from({ length: 5 }, () => meshedEndpoint(mesh.pod(east, 'server'), 80));
    east.controlPlane.setService('most.shop:80', [...gone, meshedEndpoint(pod, app.port)]);
    const answers = await Promise.all(Array.from({ length: 32 }, (_, i) => post(patient, 'most.shop', i)));
    for (const [i, answer] of answers.entries())
      assert.deepEqual([answer.status, causeOf(answer), answer.body.toString()], [200, undefined, body(i)]);
  });
});
