import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { ask, causeOf, metricSum, startApp } from '../testing/mesh/http.ts';
import { http2Through, startHttp2App, tunnelTo } from '../testing/mesh/http2.ts';
import { meshedEndpoint, TestMesh, type TestCluster, type TestPod } from '../testing/mesh/test-mesh.ts';

const FIELD = 'l5d-dst-override';

describe('ingress mode', () => {
  let mesh: TestMesh;
  let east: TestCluster;
  let ingress: TestPod;
  let usual: TestPod;
  let server: TestPod;
  /** Where requests were going without the field. */
  let dialled: string;

  before(async () => {
    mesh = await TestMesh.create();
    east = await mesh.cluster('east');
    [ingress, usual, server] = [mesh.pod(east, 'ingress'), mesh.pod(east, 'usual'), mesh.pod(east, 'server')];
    await mesh.sidecar(east, ingress, { ingress: true });
    await mesh.sidecar(east, usual);
    await mesh.sidecar(east, server);
    for (const name of ['web.shop', 'cart.shop', 'pod.shop']) {
      const app = await startApp(mesh, server.ip, ({ headers }, response) =>
        response.end([name, headers.host, headers[FIELD], headers['l5d-client-id']].join(' ')),
      );
      east.controlPlane.setService(`${name}:80`, [meshedEndpoint(server, app.port)]);
    }
    dialled = 'pod.shop:80';
  });
  after(() => mesh.close());

  test('each request goes to the Service that it names, also on a connection that leads elsewhere; the app does not see the field', async () => {
    const socket = await tunnelTo(ingress.ip, dialled);
    const get = async (field: string): Promise<string> => {
      socket.write(`GET / HTTP/1.1\r\nhost: public.example\r\n${field}\r\n`);
      const [answer] = (await once(socket, 'data')) as [Buffer];
      return answer.toString().split('\r\n\r\n')[1] ?? '';
    };
    const from = ingress.dnsName;
    assert.equal(await get(`${FIELD}: web.shop:80\r\n`), `web.shop public.example  ${from}`);
    assert.equal(await get('L5D-Dst-Override:cart.shop\r\n'), `cart.shop public.example  ${from}`);
    assert.equal(await get(''), `pod.shop public.example  ${from}`);
    socket.destroy();
    assert.equal(await metricSum(ingress.ip, 'request_total', 'authority="web.shop:80"'), 1);
  });

  test('HTTP/2 as well', async () => {
    const app = await startHttp2App(mesh, server.ip, (stream, headers) => {
      stream.respond({ ':status': 200 });
      stream.end(`${headers[':authority']} ${String(headers[FIELD])}`);
    });
    east.controlPlane.setService('calls.shop:9090', [meshedEndpoint(server, app.port)]);
    const session = await http2Through(mesh, ingress.ip, dialled);
    const stream = session.request({ ':authority': 'public.example', [FIELD]: 'calls.shop:9090' });
    let text = '';
    for await (const chunk of stream.setEncoding('utf8')) text += String(chunk);
    assert.equal(text, 'public.example undefined');
    session.close();
  });

  const refused: [value: string | string[], status: number, cause: string][] = [
    ['127.0.0.1:80', 400, 'bad-request'],
    ['[::1]:80', 400, 'bad-request'],
    ['web.shop:http', 400, 'bad-request'],
    ['', 400, 'bad-request'],
    [['web.shop:80', 'cart.shop:80'], 400, 'bad-request'],
    ['web.shop:4143', 403, 'own-port'],
    ['outside.example:80', 404, 'no-such-target'],
  ];
  for (const [value, status, cause] of refused) {
    test(`${FIELD}: ${String(value)} gets ${status}, and reaches nobody`, async () => {
      const answer = await ask(ingress.ip, `http://${dialled}/`, { headers: { [FIELD]: value } });
      assert.deepEqual([answer.status, causeOf(answer)], [status, cause]);
    });
  }

  test('any other sidecar takes no notice: its clients do not steer it', async () => {
    const answer = await ask(usual.ip, `http://${dialled}/`, { headers: { [FIELD]: 'web.shop:80' } });
    assert.match(answer.body.toString(), /^pod\.shop /);
  });
});
