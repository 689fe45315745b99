import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, request, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { port } from '../api/names.ts';
import { methods } from '../api/proto/methods.ts';
import type { Channel } from '../workload-identity/index.ts';
import { identitiesPolicy } from './testing/mesh/fake-control-plane.ts';
import { ask, causeOf, metricSum, startApp, type TestApp } from './testing/mesh/http.ts';
import { clientMesh } from './testing/mesh/client-mesh.ts';
import { meshedEndpoint, TestMesh, type TestCluster, type TestPod } from './testing/mesh/test-mesh.ts';
import { freshAddress } from '../test/testing/addresses.ts';
import type { Proxy } from './proxy.ts';

const MEGABYTE = Buffer.alloc(1_048_576, 'isthmus ');

/** Answers with what it was asked, and by the path with more. */
function echo(incoming: IncomingMessage, response: ServerResponse): void {
  const chunks: Buffer[] = [];
  incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
  incoming.on('end', () => {
    const body = Buffer.concat(chunks);
    if (incoming.url === '/megabyte') {
      response.end(MEGABYTE);
      return;
    }
    if (incoming.url === '/trailers') {
      response.setHeader('trailer', 'x-sum');
      response.write(body);
      response.addTrailers({ 'x-sum': `${body.length} ${incoming.trailers['x-in'] ?? ''}` });
      response.end();
      return;
    }
    if (incoming.url === '/fail') response.statusCode = 500;
    response.setHeader('x-seen', JSON.stringify(incoming.headers));
    response.setHeader('x-method', incoming.method ?? '');
    response.setHeader('x-version', incoming.httpVersion);
    response.end(body.length > 0 ? body : 'hello');
  });
}

function seenBy(headers: IncomingMessage['headers']): Record<string, string> {
  return JSON.parse(headers['x-seen'] as string) as Record<string, string>;
}

test('a sidecar connects to its control plane before there is a request', async (t) => {
  const mesh = await TestMesh.create();
  t.after(() => mesh.close());
  const east = await mesh.cluster('east');
  const connecting = Promise.all([east.controlPlane.untilConnecting(), east.controlPlane.untilConnecting()]);
  await mesh.sidecar(east, mesh.pod(east, 'web'));
  await connecting;
});

test('a sidecar learns the policies of ports that its pod declares before anybody connects', async (t) => {
  const mesh = await TestMesh.create();
  t.after(() => mesh.close());
  const east = await mesh.cluster('east');
  const asked = Promise.withResolvers<unknown>();
  const channel = (): Channel => {
    const told = east.controlPlane.channel();
    return {
      ...told,
      serverStream(method, message, handlers) {
        if (method.path === methods.watchPort.path) asked.resolve(message);
        return told.serverStream(method, message, handlers);
      },
    };
  };
  const pod = mesh.pod(east, 'web');
  await mesh.sidecar(east, pod, { appPorts: new Set([8080]) }, { channel });
  assert.partialDeepStrictEqual(await asked.promise, { port: 8080 });
});

describe('a pair of sidecars', () => {
  let mesh: TestMesh;
  let east: TestCluster;
  let client: TestPod;
  let server: TestPod;
  let proxy: Proxy;
  let app: TestApp;

  before(async () => {
    mesh = await TestMesh.create();
    east = await mesh.cluster('east');
    client = mesh.pod(east, 'client');
    server = mesh.pod(east, 'server');
    ({ proxy } = await mesh.sidecar(east, client));
    await mesh.sidecar(east, server);
    app = await startApp(mesh, server.ip, echo);
    east.controlPlane.setService('web.shop:80', [meshedEndpoint(server, app.port)]);
  });
  after(() => mesh.close());

  test('GET: the app sees the request as it was, and who asks', async () => {
    const answer = await ask(client.ip, 'http://web.shop/path?q=1', {
      headers: { 'x-one': 'a', accept: '*/*' },
    });
    assert.equal(answer.status, 200);
    assert.equal(answer.body.toString(), 'hello');
    assert.equal(answer.headers['x-version'], '1.1');
    assert.deepEqual(seenBy(answer.headers), {
      host: 'web.shop',
      'x-one': 'a',
      accept: '*/*',
      'l5d-client-id': client.dnsName,
    });
    assert.deepEqual([...app.sources], [server.ip], 'the sidecar comes from the address of its pod');
  });

  test('what an app writes about identity is stripped', async () => {
    const { headers } = await ask(client.ip, 'http://web.shop/', {
      headers: {
        'l5d-client-id': 'admin.bank.serviceaccount.identity.isthmus.cluster.local',
        forwarded: 'for=evil',
        'L5D-Client-Id': ['twice', 'more'],
        l5d_client_id: 'admin',
        'L5d_Client-Id': 'admin',
        'l5d-client_id': 'admin',
      },
    });
    const seen = seenBy(headers);
    assert.equal(seen['l5d-client-id'], client.dnsName);
    assert.equal(seen['forwarded'], undefined);
    assert.deepEqual(
      Object.keys(seen).filter((name) => /^l5d.client.id$/i.test(name)),
      ['l5d-client-id'],
      'apps behind CGI read `_` and `-` as the same',
    );
  });

  test('POST with a length, chunked, HEAD, 5xx, trailers both ways', async () => {
    const sized = await ask(client.ip, 'http://web.shop/', { method: 'POST', body: 'twelve bytes' });
    assert.deepEqual([sized.body.toString(), sized.headers['x-method']], ['twelve bytes', 'POST']);
    const chunked = await ask(client.ip, 'http://web.shop/', { method: 'PUT', body: ['a', 'bc', 'def'] });
    assert.equal(chunked.body.toString(), 'abcdef');
    const head = await ask(client.ip, 'http://web.shop/', { method: 'HEAD' });
    assert.deepEqual([head.status, head.body.length, head.headers['x-method']], [200, 0, 'HEAD']);
    assert.equal((await ask(client.ip, 'http://web.shop/fail')).status, 500);
    const trailed = await ask(client.ip, 'http://web.shop/trailers', {
      method: 'POST',
      headers: { trailer: 'x-in' },
      body: ['one', 'two'],
      trailers: { 'x-in': 'here' },
    });
    assert.equal(trailed.body.toString(), 'onetwo');
    assert.equal(trailed.trailers['x-sum'], '6 here');
  });

  test('a megabyte each way', async () => {
    const up = await ask(client.ip, 'http://web.shop/', { method: 'POST', body: MEGABYTE });
    assert.ok(up.body.equals(MEGABYTE));
    const down = await ask(client.ip, 'http://web.shop/megabyte');
    assert.ok(down.body.equals(MEGABYTE));
  });

  test('keep-alive: many requests on one connection of the app, one after the other', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (let i = 0; i < 20; i++) {
      const answer = await ask(client.ip, `http://web.shop/${i}`, { agent });
      assert.equal(answer.status, 200);
    }
    agent.destroy();
  });

  test('200 requests at once travel over few mTLS connections', async () => {
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, i) => ask(client.ip, `http://web.shop/${i}`)),
    );
    assert.ok(answers.every((answer) => answer.status === 200));
    assert.ok(proxy.peerConnections >= 1 && proxy.peerConnections <= 4, String(proxy.peerConnections));
  });

  test('a port of the proxy itself is refused, and a name that is no authority', async () => {
    const own = await ask(client.ip, `http://${server.ip}:4191/metrics`);
    assert.deepEqual([own.status, causeOf(own)], [403, 'own-port']);
    east.controlPlane.setService('sly.shop:80', [meshedEndpoint(server, port.admin)]);
    const sly = await ask(client.ip, 'http://sly.shop/metrics');
    assert.deepEqual(
      [sly.status, causeOf(sly)],
      [403, 'own-port'],
      'also when the control plane leads there',
    );
  });

  test('an app that is absent: 502', async () => {
    east.controlPlane.setService('absent.shop:80', [meshedEndpoint(server, 1)]);
    const answer = await ask(client.ip, 'http://absent.shop/');
    assert.deepEqual([answer.status, causeOf(answer)], [502, 'connect-failed']);
  });

  test('a name that is no Service goes to itself by DNS, plain; l5d-client-id does not leave the pod', async () => {
    const outside = freshAddress();
    const other = await startApp(mesh, outside, echo);
    const answer = await ask(client.ip, `http://${outside}:${other.port}/x`, {
      headers: { 'l5d-client-id': 'me' },
    });
    assert.equal(answer.status, 200);
    assert.deepEqual(seenBy(answer.headers), { host: `${outside}:${other.port}` });
    const nowhere = await ask(client.ip, 'http://nowhere.example/');
    assert.equal(nowhere.status, 502);
  });

  test('policy by identity: others get 403, counted; a change counts at once', async () => {
    east.controlPlane.setPolicy(app.port, identitiesPolicy(['someone.else']));
    const denied = await ask(client.ip, 'http://web.shop/');
    assert.deepEqual([denied.status, causeOf(denied)], [403, 'unauthorized']);
    const withBody = await ask(client.ip, 'http://web.shop/', { method: 'POST', body: MEGABYTE });
    assert.equal(withBody.status, 403);
    assert.equal(await metricSum(server.ip, 'inbound_http_authz_deny_total', 'authz_name="test"'), 0);
    assert.equal(await metricSum(server.ip, 'inbound_http_authz_deny_total', 'srv_name="test"'), 2);
    const refusals = ['direction="inbound"', 'srv_name="test"', 'status_code="403"', 'error="unauthorized"'];
    assert.equal(await metricSum(server.ip, 'response_total', ...refusals), 2);
    east.controlPlane.setPolicy(app.port, identitiesPolicy(['someone.else', client.dnsName]));
    assert.equal((await ask(client.ip, 'http://web.shop/')).status, 200);
  });

  test("metrics of both sides have Linkerd's names and labels", async () => {
    const requests = await metricSum(
      client.ip,
      'request_total',
      'direction="outbound"',
      'authority="web.shop:80"',
    );
    const successes = await metricSum(
      client.ip,
      'response_total',
      `server_id="${server.spiffeId}"`,
      'tls="true"',
      'status_code="200"',
      'classification="success"',
    );
    assert.ok(requests > 200 && successes > 200 && successes < requests);
    assert.ok(
      (await metricSum(server.ip, 'response_total', `client_id="${client.spiffeId}"`, 'inbound')) > 200,
    );
    assert.ok(
      (await metricSum(client.ip, 'response_total', 'classification="failure"', 'status_code="500"')) >= 1,
    );
    assert.ok((await metricSum(client.ip, 'response_latency_ms_count', 'status_code="200"')) > 200);
    assert.ok(
      (await metricSum(server.ip, 'tcp_read_bytes_total', 'peer="src"', 'tls="true"')) > MEGABYTE.length,
    );
    assert.ok((await metricSum(server.ip, 'tcp_open_connections', 'peer="src"')) >= 1);
  });

  test('what the control plane says anew of an endpoint is in the labels from then on, by the same connection', async () => {
    const connections = () => metricSum(client.ip, 'tcp_open_total', 'peer="dst"');
    const requests = (locality: string) =>
      metricSum(client.ip, 'request_total', 'authority="zoned.shop:80"', `dst_zone_locality="${locality}"`);
    const tell = (locality: string) => {
      const endpoint = { ...meshedEndpoint(server, app.port), labels: { zone_locality: locality } };
      east.controlPlane.setService('zoned.shop:80', [endpoint]);
    };
    tell('remote');
    await ask(client.ip, 'http://zoned.shop/');
    const before_ = await connections();
    const told = east.controlPlane.untilTold('zoned.shop:80');
    tell('local');
    await told;
    await ask(client.ip, 'http://zoned.shop/');
    assert.equal(await requests('local'), 1);
    assert.equal(await requests('remote'), 1);
    assert.equal(await connections(), before_);
  });

  test('a request that is under way while its endpoint gets other labels counts in one series from its begin to its end', async () => {
    const came = Promise.withResolvers<ServerResponse>();
    const slow = await startApp(mesh, server.ip, (_incoming, response) => came.resolve(response));
    const count = (name: string, pod: string) =>
      metricSum(client.ip, name, 'authority="renamed.shop:80"', `dst_pod="${pod}"`);
    const tell = (pod: string) =>
      east.controlPlane.setService('renamed.shop:80', [
        { ...meshedEndpoint(server, slow.port), labels: { pod } },
      ]);
    tell('first');
    const answer = ask(client.ip, 'http://renamed.shop/');
    const response = await came.promise;
    const told = east.controlPlane.untilTold('renamed.shop:80');
    tell('second');
    await told;
    response.end();
    await answer;
    for (const name of ['request_total', 'response_total', 'response_latency_ms_count']) {
      assert.deepEqual([await count(name, 'first'), await count(name, 'second')], [1, 0], name);
    }
  });

  test('clients and apps that stall do not hold others up', async () => {
    const endless: ServerResponse[] = [];
    const slow = await startApp(mesh, server.ip, (incoming, response) => {
      if (incoming.url !== '/endless') {
        response.end(MEGABYTE);
        return;
      }
      // More than the kernel's buffers on the way can hold: only then is a stalled reader felt.
      endless.push(response);
      for (let i = 0; i < 16; i++) response.write(MEGABYTE);
    });
    east.controlPlane.setService('slow.shop:80', [meshedEndpoint(server, slow.port)]);
    const stalled = await Promise.all(
      Array.from({ length: 10 }, () => stall(client.ip, 'http://slow.shop/endless')),
    );
    const agent = new Agent({ keepAlive: true, maxSockets: 4 });
    const healthy = await Promise.all(
      Array.from({ length: 100 }, (_, i) => ask(client.ip, `http://web.shop/${i}`, { agent })),
    );
    assert.ok(healthy.every((answer) => answer.status === 200));
    assert.equal((await ask(client.ip, 'http://slow.shop/', { agent })).body.length, MEGABYTE.length);
    assert.ok(endless.length === stalled.length && endless.every((response) => response.writableLength > 0));
    for (const end of stalled) end();
    agent.destroy();
  });
});

/** Asks, reads the response's head and then nothing more. Resolves with how to give up. */
async function stall(ip: string, url: string): Promise<() => void> {
  const outgoing = request({
    host: ip,
    port: port.outbound,
    path: url,
    headers: { host: new URL(url).host },
    agent: false,
  });
  outgoing.end();
  const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
  incoming.pause();
  incoming.on('error', () => {});
  return () => outgoing.destroy();
}

describe('endpoints that change and fail', () => {
  let mesh: TestMesh;
  let east: TestCluster;
  let client: TestPod;

  before(async () => {
    ({ mesh, east, client } = await clientMesh('fast'));
  });
  after(() => mesh.close());

  async function replica(cluster = east) {
    const pod = mesh.pod(cluster, 'server');
    const sidecar = await mesh.sidecar(cluster, pod);
    const app = await startApp(mesh, pod.ip, echo);
    return { pod, app, endpoint: meshedEndpoint(pod, app.port), ...sidecar };
  }

  test('endpoints that come and go under load lose nothing', async () => {
    const replicas = [await replica(), await replica(), await replica()];
    const endpoints = replicas.map((one) => one.endpoint);
    east.controlPlane.setService('changing.shop:80', endpoints);
    const load = { running: true };
    const statuses = new Map<number, number>();
    const clients = Array.from({ length: 8 }, async () => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      while (load.running) {
        const { status } = await ask(client.ip, 'http://changing.shop/', {
          agent,
          method: 'POST',
          body: 'x'.repeat(500),
        });
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
      agent.destroy();
    });
    for (let i = 0; i < 12; i++) {
      east.controlPlane.setService(
        'changing.shop:80',
        endpoints.filter((_, n) => n !== i % 4),
      );
      for (let n = 0; n < 10; n++) await ask(client.ip, 'http://changing.shop/');
    }
    // One replica ends in good order while it is still among the endpoints.
    await replicas[0]?.drain();
    for (let n = 0; n < 20; n++) await ask(client.ip, 'http://changing.shop/');
    load.running = false;
    await Promise.all(clients);
    assert.deepEqual([...statuses.keys()], [200]);
  });

  test('nobody listens at one endpoint: the request goes to the other', async () => {
    const good = await replica();
    const gone = mesh.pod(east, 'server');
    east.controlPlane.setService('half.shop:80', [meshedEndpoint(gone, 80), good.endpoint]);
    for (let i = 0; i < 10; i++) assert.equal((await ask(client.ip, 'http://half.shop/')).status, 200);
  });

  test('a peer with another identity than discovery said is refused', async () => {
    const { endpoint } = await replica();
    const other = mesh.pod(east, 'other');
    const { spiffeId, dnsName } = other;
    east.controlPlane.setService('liar.shop:80', [{ ...endpoint, spiffeId, dnsName }]);
    const answer = await ask(client.ip, 'http://liar.shop/');
    assert.deepEqual([answer.status, causeOf(answer)], [502, 'peer-refused']);
  });

  test('no endpoint: waits for one, fails fast when none comes, and recovers', async () => {
    east.controlPlane.setService('empty.shop:80', []);
    const waiting = await ask(client.ip, 'http://empty.shop/');
    assert.deepEqual([waiting.status, causeOf(waiting)], [504, 'fail-fast']);
    const { endpoint } = await replica();
    east.controlPlane.setService('empty.shop:80', [endpoint]);
    assert.equal((await ask(client.ip, 'http://empty.shop/')).status, 200);
    east.controlPlane.setService('late.shop:80', []);
    const asked = ask(client.ip, 'http://late.shop/', { method: 'POST', body: MEGABYTE });
    setImmediate(() => east.controlPlane.setService('late.shop:80', [endpoint]));
    const late = await asked;
    assert.ok(late.body.equals(MEGABYTE), 'what waited is sent whole');
  });

  test('the control plane dies: requests go on, new names fail in time, and it heals', async () => {
    const { endpoint } = await replica();
    east.controlPlane.setService('kept.shop:80', [endpoint]);
    assert.equal((await ask(client.ip, 'http://kept.shop/')).status, 200);
    east.controlPlane.kill();
    for (let i = 0; i < 5; i++) assert.equal((await ask(client.ip, 'http://kept.shop/')).status, 200);
    assert.ok((await metricSum(client.ip, 'control_streams_broken', 'destination')) >= 2);
    const unknown = await ask(client.ip, 'http://unknown.shop/');
    assert.deepEqual([unknown.status, causeOf(unknown)], [504, 'discovery-failed']);
    const told = east.controlPlane.untilTold('unknown.shop:80');
    east.controlPlane.setService('unknown.shop:80', [endpoint]);
    east.controlPlane.revive();
    await told;
    assert.equal((await ask(client.ip, 'http://unknown.shop/')).status, 200);
  });

  test('a drain ends what is under way and loses nothing', async () => {
    const { pod, ...sidecar } = await replica();
    let release = (): void => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let arrived = (): void => {};
    const here = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const slow = await startApp(mesh, pod.ip, (_incoming, response) => {
      arrived();
      void held.then(() => response.end('done'));
    });
    east.controlPlane.setService('draining.shop:80', [meshedEndpoint(pod, slow.port)]);
    const asked = ask(client.ip, 'http://draining.shop/');
    await here;
    const drained = sidecar.drain();
    const ready = await fetch(`http://${pod.ip}:${port.admin}/ready`);
    assert.equal(ready.status, 503);
    release();
    assert.equal((await asked).body.toString(), 'done');
    await drained;
    const refused = connect(port.inbound, pod.ip);
    const [error] = (await once(refused, 'error')) as [NodeJS.ErrnoException];
    assert.equal(error.code, 'ECONNREFUSED');
  });
});
