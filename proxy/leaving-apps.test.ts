import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { ask, causeOf, metricSum, startApp, type TestApp } from './testing/mesh/http.ts';
import { clientMesh } from './testing/mesh/client-mesh.ts';
import { meshedEndpoint, type TestMesh, type TestCluster, type TestPod } from './testing/mesh/test-mesh.ts';

describe('apps that leave before anybody is told', () => {
  let mesh: TestMesh;
  let east: TestCluster;
  let client: TestPod;
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });

  before(async () => {
    ({ mesh, east, client } = await clientMesh('fast'));
  });
  after(async () => {
    agent.destroy();
    await mesh.close();
  });

  async function server(): Promise<{ pod: TestPod; app: TestApp }> {
    const pod = mesh.pod(east, 'server');
    await mesh.sidecar(east, pod);
    const app = await startApp(mesh, pod.ip, (incoming, response) => void incoming.pipe(response));
    return { pod, app };
  }

  async function services(...names: string[]): Promise<{ pod: TestPod; app: TestApp }[]> {
    const servers = [await server(), await server()];
    const endpoints = servers.map(({ pod, app }) => meshedEndpoint(pod, app.port));
    for (const name of names) east.controlPlane.setService(`${name}:80`, endpoints);
    return servers;
  }

  async function post(name: string): Promise<[status: number, cause: string | undefined, body: string]> {
    const answer = await ask(client.ip, `http://${name}/`, { method: 'POST', body: 'a body', agent });
    return [answer.status, causeOf(answer), answer.body.toString()];
  }

  test('one of two listens no more: what its proxy could give nobody goes to the other, and it is preferred from then on', async () => {
    const [gone] = await services('half.shop');
    gone?.app.server.close();
    for (let i = 0; i < 40; i++) assert.deepEqual(await post('half.shop'), [200, undefined, 'a body']);
    const refused = await metricSum(
      gone?.pod.ip ?? '',
      'inbound_http_errors_total',
      'error="connect-failed"',
    );
    assert.ok(refused > 0 && refused < 20, `${refused} of 40 requests came to the one that is gone`);
  });

  test('none listens: the client hears why', async () => {
    for (const { app } of await services('none.shop')) app.server.close();
    assert.deepEqual(await post('none.shop'), [502, 'connect-failed', '']);
  });

  test('a kept connection that is closed under a request: what is idempotent is sent again, once; the rest is not', async () => {
    const seen: string[] = [];
    const raw = createServer((socket) => {
      let first = true;
      socket.on('error', () => {});
      socket.on('data', (data) => {
        seen.push(data.toString('latin1').split(' ', 1)[0] ?? '');
        if (first) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
        else socket.end();
        first = false;
      });
    });
    const pod = mesh.pod(east, 'server');
    await mesh.sidecar(east, pod);
    raw.listen(0, pod.ip);
    await once(raw, 'listening');
    mesh.onClose(() => void raw.close());
    const { port } = raw.address() as AddressInfo;
    east.controlPlane.setService('hasty.shop:80', [meshedEndpoint(pod, port)]);
    const statusOf = async (method: string): Promise<number> =>
      (await ask(client.ip, 'http://hasty.shop/', { method, agent })).status;
    for (const method of ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'TRACE']) {
      seen.length = 0;
      assert.deepEqual([await statusOf(method), await statusOf(method)], [200, 200], method);
      assert.ok(seen.length <= 4 && seen.length >= 3, `${seen.join()} came`);
    }
    await statusOf('GET');
    seen.length = 0;
    for (const method of ['POST', 'PATCH', 'GETS']) {
      const answers = [await statusOf(method), await statusOf(method)].toSorted((a, b) => a - b);
      assert.deepEqual([...answers, seen.splice(0).length], [200, 502, 2], method);
    }
  });
});
