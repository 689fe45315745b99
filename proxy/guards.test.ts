import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { Agent } from 'node:http';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { port as ports } from '../api/names.ts';
import { DEFAULT_LIMITS } from './config.ts';
import { MAX_KEPT_BYTES } from './route/retry-policy.ts';
import { ask, causeOf, metricSum, startApp, type Answer, type TestApp } from './testing/mesh/http.ts';
import { duration, trafficPolicy } from './testing/mesh/outbound-policy.ts';
import { clientMesh } from './testing/mesh/client-mesh.ts';
import { meshedEndpoint, type TestMesh, type TestCluster, type TestPod } from './testing/mesh/test-mesh.ts';

/** Statuses that are retried. */
const ON_5XX = { conditions: { statusRanges: [{ start: 500, end: 599 }] } };
/** Short, so that tests do not wait. */
const BACK_OFF = { minBackoff: duration(1), maxBackoff: duration(2), jitterRatio: 0 };

interface Server {
  readonly pod: TestPod;
  readonly app: TestApp;
  requests: number;
}

describe('guards of the outbound side', () => {
  let mesh: TestMesh;
  let east: TestCluster;
  let client: TestPod;
  const agent = new Agent({ keepAlive: true, maxSockets: 16 });

  before(async () => {
    ({ mesh, east, client } = await clientMesh());
  });
  after(async () => {
    agent.destroy();
    await mesh.close();
  });

  async function startServer(listener: RequestListener): Promise<Server> {
    const pod = mesh.pod(east, 'server');
    await mesh.sidecar(east, pod);
    const server: Server = {
      pod,
      requests: 0,
      app: await startApp(mesh, pod.ip, (incoming, response) => {
        server.requests++;
        listener(incoming, response);
      }),
    };
    return server;
  }

  function service(name: string, ...servers: Server[]): void {
    east.controlPlane.setService(
      `${name}:80`,
      servers.map(({ pod, app }) => meshedEndpoint(pod, app.port)),
    );
  }

  /** Asks n times, 16 at a time. */
  async function load(name: string, n: number): Promise<Answer[]> {
    return Promise.all(Array.from({ length: n }, () => ask(client.ip, `http://${name}/`, { agent })));
  }

  const count = (answers: Answer[], status: number): number =>
    answers.filter((answer) => answer.status === status).length;

  test('a request that takes longer than its timeout is answered with 504, and taken back', async () => {
    let taken: Promise<unknown> | undefined;
    const slow = await startServer((_incoming, response) => {
      taken = once(response, 'close');
    });
    const counted = (ip: string, side: string): Promise<number> =>
      metricSum(ip, `${side}_http_errors_total`, 'error="timeout"');
    const askSlow = async (): Promise<void> => {
      const answer = await ask(client.ip, 'http://slow.shop/');
      assert.deepEqual([answer.status, causeOf(answer)], [504, 'timeout']);
      await taken;
    };
    east.controlPlane.setOutbound('slow.shop:80', trafficPolicy({ timeouts: { request: duration(50) } }));
    east.controlPlane.setService('slow.shop:80', [{ address: slow.pod.ip, port: slow.app.port }]);
    await askSlow();
    assert.equal(await counted(client.ip, 'outbound'), 1);
    // Each hop holds what is left of the time: whichever notices first tells.
    service('slow.shop', slow);
    await askSlow();
    const later = (await counted(client.ip, 'outbound')) - 1 + (await counted(slow.pod.ip, 'inbound'));
    assert.ok(later >= 1, `${later} timeouts were counted`);
  });

  test('an app that informs without end is given up, and others on the same connections are not', async () => {
    const held: ServerResponse[] = [];
    const other = await startServer((_incoming, response) => void held.push(response));
    service('other.shop', other);
    const informing = createServer((socket) => {
      const hints = Buffer.from(
        `HTTP/1.1 103 Early Hints\r\nlink: </${'a'.repeat(500)}>\r\n\r\n`.repeat(100),
      );
      const write = (): void => {
        while (socket.writable && socket.write(hints));
      };
      socket.on('error', () => {});
      socket.on('drain', write);
      socket.once('data', write);
    });
    informing.listen(0, other.pod.ip);
    mesh.onClose(() => {
      informing.close();
    });
    await once(informing, 'listening');
    const { port } = informing.address() as AddressInfo;
    east.controlPlane.setService('informing.shop:80', [meshedEndpoint(other.pod, port)]);
    const others = load('other.shop', 16);
    const answer = await ask(client.ip, 'http://informing.shop/');
    assert.deepEqual([answer.status, causeOf(answer)], [502, 'protocol-error']);
    for (const response of held) response.end();
    assert.equal(count(await others, 200), 16);
  });

  test('the response and the idle timeout end what has begun', async () => {
    const endless = (incoming: IncomingMessage, response: ServerResponse): void => {
      if (incoming.url === '/warm') response.end();
      else response.write('the first part');
    };
    const server = await startServer(endless);
    for (const [name, timeouts] of [
      ['idle.shop', { idle: duration(1_000) }],
      ['response.shop', { response: duration(1_000) }],
    ] as const) {
      service(name, server);
      east.controlPlane.setOutbound(`${name}:80`, trafficPolicy({ timeouts }));
      await ask(client.ip, `http://${name}/warm`);
      await assert.rejects(ask(client.ip, `http://${name}/`), /aborted|socket hang up/);
    }
  });

  test('an answer that the route retries is asked for at another endpoint, with its body', async () => {
    const bad = await startServer((_incoming, response) => {
      response.statusCode = 503;
      response.end('no');
    });
    const good = await startServer((incoming, response) => void incoming.pipe(response));
    service('half.shop', bad, good);
    east.controlPlane.setOutbound(
      'half.shop:80',
      trafficPolicy({ retry: { ...ON_5XX, maxRetries: 1, backoff: BACK_OFF } }),
    );
    // At once: in flight, they spread over both.
    const ask1 = (i: number): Promise<Answer> =>
      ask(client.ip, 'http://half.shop/', { method: 'POST', body: `body ${i}`, agent });
    const answers = await Promise.all(Array.from({ length: 16 }, (_, i) => ask1(i)));
    for (const [i, answer] of answers.entries())
      assert.deepEqual([answer.status, answer.body.toString()], [200, `body ${i}`]);
    assert.ok(bad.requests > 0);
    assert.equal(good.requests, 16);
    const retried = await metricSum(client.ip, 'outbound_http_route_retry_successes_total', 'half.shop');
    assert.equal(retried, bad.requests);
  });

  test('a body of 64 KiB is kept to be sent again, one of a byte more is not', async () => {
    const bodies: number[] = [];
    const bad = await startServer((incoming, response) => {
      let length = 0;
      incoming.on('data', (chunk: Buffer) => (length += chunk.length));
      incoming.on('end', () => {
        bodies.push(length);
        response.statusCode = 503;
        response.end();
      });
    });
    service('large.shop', bad);
    east.controlPlane.setOutbound(
      'large.shop:80',
      trafficPolicy({ retry: { ...ON_5XX, maxRetries: 1, backoff: BACK_OFF } }),
    );
    const post = (bytes: number, headers: Record<string, string>): Promise<Answer> =>
      ask(client.ip, 'http://large.shop/', { method: 'POST', body: Buffer.alloc(bytes), headers, agent });
    for (const headers of [{}, { 'transfer-encoding': 'chunked' }]) {
      for (const [bytes, times] of [
        [MAX_KEPT_BYTES, 2],
        [MAX_KEPT_BYTES + 1, 1],
      ] as const) {
        bodies.length = 0;
        assert.equal((await post(bytes, headers)).status, 503);
        assert.deepEqual(
          bodies,
          Array.from({ length: times }, () => bytes),
        );
      }
    }
  });

  test('a try that takes too long is given up for another one', async () => {
    const silent = await startServer(() => {});
    const good = await startServer((_incoming, response) => void response.end('good'));
    service('silent.shop', silent, good);
    east.controlPlane.setOutbound(
      'silent.shop:80',
      trafficPolicy({ retry: { ...ON_5XX, maxRetries: 1, timeout: duration(30), backoff: BACK_OFF } }),
    );
    const answers = await load('silent.shop', 8);
    for (const answer of answers) assert.equal(answer.body.toString(), 'good');
    assert.ok(silent.requests > 0);
  });

  test('whatever each request may retry, the budget bounds all of them', async () => {
    const bad = await startServer((_incoming, response) => {
      response.statusCode = 500;
      response.end();
    });
    service('bad.shop', bad);
    east.controlPlane.setOutbound(
      'bad.shop:80',
      trafficPolicy({ retry: { ...ON_5XX, maxRetries: 3, backoff: BACK_OFF } }),
    );
    const from = performance.now();
    const answers = await load('bad.shop', 150);
    const seconds = (performance.now() - from) / 1_000;
    assert.ok(answers.every(({ status }) => status >= 500));
    const retries = await metricSum(client.ip, 'outbound_http_route_retry_requests_total', 'bad.shop');
    // A fifth, and ten a second: of the ten seconds before, and of those that it took.
    const bound = 150 * 0.2 + 10 * (10 + seconds);
    assert.ok(retries > 0 && retries <= bound, `${retries} retries, at most ${bound}`);
    assert.ok(bad.requests <= 150 + retries);
    assert.ok((await metricSum(client.ip, 'outbound_http_route_retry_overflow_total', 'bad.shop')) > 0);
  });

  test('a policy that is told again and again does not lift the bound, nor does a changed one', async () => {
    const bad = await startServer((_incoming, response) => {
      response.statusCode = 500;
      response.end();
    });
    service('told.shop', bad);
    const from = performance.now();
    const requests = 4 * 60;
    for (let i = 0; i < 4; i++) {
      const timeouts = { request: duration(60_000 + 1_000 * Math.floor(i / 2)) };
      const retry = { ...ON_5XX, maxRetries: 3, backoff: BACK_OFF };
      east.controlPlane.setOutbound('told.shop:80', trafficPolicy({ timeouts, retry }));
      await load('told.shop', requests / 4);
    }
    const seconds = (performance.now() - from) / 1_000;
    const retries = await metricSum(client.ip, 'outbound_http_route_retry_requests_total', 'told.shop');
    const bound = requests * 0.2 + 10 * (10 + seconds);
    assert.ok(retries > 0 && retries <= bound, `${retries} retries, at most ${bound}`);
  });

  test('an endpoint that fails in a row is left alone', async () => {
    const bad = await startServer((_incoming, response) => {
      response.statusCode = 500;
      response.end();
    });
    const good = await startServer((_incoming, response) => void response.end());
    service('ejects.shop', bad, good);
    const backoff = { minBackoff: duration(60_000), maxBackoff: duration(60_000) };
    east.controlPlane.setOutbound(
      'ejects.shop:80',
      trafficPolicy({}, { kind: { case: 'consecutiveFailures', value: { maxFailures: 3, backoff } } }),
    );
    await load('ejects.shop', 16);
    const { requests } = bad;
    assert.ok(requests >= 3);
    assert.equal(count(await load('ejects.shop', 50), 200), 50);
    assert.equal(bad.requests, requests);
    assert.equal(await metricSum(client.ip, 'outbound_http_balancer_ejections_total', 'ejects.shop'), 1);
    assert.equal(await metricSum(client.ip, 'outbound_http_balancer_endpoints', 'ejects.shop', 'ready'), 1);
  });

  test('the last endpoint is never ejected', async () => {
    const bad = await startServer((_incoming, response) => {
      response.statusCode = 500;
      response.end();
    });
    service('alone.shop', bad);
    east.controlPlane.setOutbound(
      'alone.shop:80',
      trafficPolicy({}, { kind: { case: 'consecutiveFailures', value: { maxFailures: 2 } } }),
    );
    assert.equal(count(await load('alone.shop', 10), 500), 10);
    assert.equal(bad.requests, 10);
  });

  test('a request sets its own limits only where the route allows it; the app never sees them', async () => {
    let seen: IncomingMessage['headers'] = {};
    const server = await startServer((incoming, response) => {
      seen = incoming.headers;
      if (incoming.url !== '/never') response.end();
    });
    service('asks.shop', server);
    east.controlPlane.setOutbound('asks.shop:80', trafficPolicy({ allowL5dRequestHeaders: true }));
    await ask(client.ip, 'http://asks.shop/warm');
    const headers = { 'l5d-timeout': '1s', 'l5d-retry-http': '5xx', 'x-kept': 'yes' };
    const answer = await ask(client.ip, 'http://asks.shop/never', { headers });
    assert.deepEqual([answer.status, causeOf(answer)], [504, 'timeout']);
    assert.deepEqual(
      Object.keys(seen).filter((name) => name.startsWith('l5d-')),
      ['l5d-client-id'],
    );
    assert.equal(seen['x-kept'], 'yes');
    east.controlPlane.setOutbound('asks.shop:80', trafficPolicy({}));
    const now = await ask(client.ip, 'http://asks.shop/now', { headers: { 'l5d-timeout': '1ms' } });
    assert.equal(now.status, 200);
    assert.equal(seen['l5d-timeout'], undefined);
  });

  test('requests beyond what one side holds are refused at once; those under way are served', async () => {
    const held: ServerResponse[] = [];
    let all: (() => void) | undefined;
    const full = new Promise<void>((resolve) => {
      all = resolve;
    });
    const pod = mesh.pod(east, 'small');
    await mesh.sidecar(east, pod, { limits: { ...DEFAULT_LIMITS, maxInFlight: 3 } });
    const app = await startApp(mesh, pod.ip, (_incoming, response) => {
      if (held.push(response) === 3) all?.();
    });
    east.controlPlane.setService('small.shop:80', [meshedEndpoint(pod, app.port)]);
    const first = Promise.all(Array.from({ length: 3 }, () => ask(client.ip, 'http://small.shop/')));
    await full;
    const beyond = await ask(client.ip, 'http://small.shop/');
    assert.deepEqual([beyond.status, causeOf(beyond)], [503, 'overloaded']);
    for (const response of held) response.end();
    assert.equal(count(await first, 200), 3);
  });

  test('connections beyond the limit of a listener are closed, and counted', async () => {
    const pod = mesh.pod(east, 'narrow');
    await mesh.sidecar(east, pod, { limits: { ...DEFAULT_LIMITS, maxConnections: 1 } });
    const where = { host: pod.ip, port: ports.outbound };
    const kept = connect(where);
    await once(kept, 'connect');
    const dropped = connect(where);
    dropped.on('error', () => {});
    await once(dropped, 'close');
    const counted = await metricSum(pod.ip, 'inbound_connections_refused_total', 'too-many-connections');
    assert.equal(counted, 1);
    kept.destroy();
  });

  test('of too many handshakes the oldest ends whose client is silent; who has spoken is heard out', async () => {
    const pod = mesh.pod(east, 'crowded');
    await mesh.sidecar(east, pod, { limits: { ...DEFAULT_LIMITS, maxHandshakes: 2 } });
    const counted = (): Promise<number> =>
      metricSum(pod.ip, 'inbound_connections_refused_total', 'too-many-handshakes');
    const knock = async (bytes?: Buffer): Promise<Socket> => {
      const socket = connect({ host: pod.ip, port: ports.inbound });
      socket.on('error', () => {}).resume();
      await once(socket, 'connect');
      if (bytes !== undefined) socket.write(bytes);
      return socket;
    };
    const [silent, alsoSilent] = [await knock(), await knock()];
    // The beginning of a ClientHello, of which the rest does not come.
    const speaking = await knock(Buffer.from([22, 3, 1]));
    await once(silent, 'close');
    const alsoSpeaking = await knock(Buffer.from([22, 3, 1]));
    await once(alsoSilent, 'close');
    const late = await knock();
    await once(late, 'close');
    assert.equal(await counted(), 3);
    assert.deepEqual([speaking.closed, alsoSpeaking.closed], [false, false]);
    for (const socket of [speaking, alsoSpeaking]) socket.destroy();
  });
});
