import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { metricSum } from '../../proxy/testing/mesh/http.ts';
import { dialIsthmus } from '../../proxy/testing/mesh/isthmus-client.ts';
import { startWirePair, type WirePair } from '../../proxy/testing/mesh/wire-pair.ts';
import { meshedEndpoint, type TestPod } from '../../proxy/testing/mesh/test-mesh.ts';
import { startWireApp } from '../../proxy/testing/mesh/wire.ts';
import { HTTP1_CASES, type Seen } from './http1-cases.ts';
import { HTTP2_BODIES, HTTP2_CASES, postOf } from './http2-cases.ts';
import { RawApp } from './raw-app.ts';

const NAME = 'raw.shop';

/** Attacks on the borders between requests, through a client's and a server's sidecar to an app that reads bytes. */
describe('smuggling', () => {
  const app = new RawApp();
  let pair: WirePair;
  let appPort = 0;
  let attacker: TestPod;
  let markers = 0;

  before(async () => {
    pair = await startWirePair();
    attacker = pair.mesh.pod(pair.east, 'attacker');
    appPort = await startWireApp(pair.mesh, pair.server.ip, (wire) => app.serve(wire));
    pair.east.controlPlane.setService(`${NAME}:80`, [meshedEndpoint(pair.server, appPort)]);
    await send(marker());
    app.take();
  });
  after(() => pair.mesh.close());

  const marker = (): string => `GET /marker-${++markers} HTTP/1.1\r\nHost: ${NAME}\r\n\r\n`;

  /** Writes, ends, and reads to the end: the answers, or what there is of them. */
  async function send(text: string): Promise<string> {
    const wire = await pair.dial();
    wire.socket.end(text.replaceAll('HOST', NAME), 'latin1');
    return wire.rest().catch(String);
  }

  /** What the app has seen, up to a request of somebody else that must be whole and in its place. */
  async function seen(): Promise<readonly { line: string; body: string; fields: string[] }[]> {
    const answer = await send(marker());
    assert.ok(answer.endsWith(`answer to /marker-${markers}`), answer);
    const { requests, garbage } = app.take();
    assert.deepEqual(garbage, []);
    const last = requests.pop();
    assert.equal(last?.startLine, `GET /marker-${markers} HTTP/1.1`);
    return requests.map(({ startLine, body, fields }) => ({
      line: startLine,
      body,
      fields: fields.map(([name, value]) => `${name}: ${value}`),
    }));
  }

  function assertSeen(expected: readonly Seen[], found: Awaited<ReturnType<typeof seen>>): void {
    assert.deepEqual(
      found.map(({ line, body }) => [line, body]),
      expected.map(({ line, body = '' }) => [line, body]),
    );
    for (const [i, { has = [], lacks = [] }] of expected.entries()) {
      const { fields = [] } = found[i] ?? {};
      for (const one of has)
        assert.ok(fields.includes(one.replace('HOST', NAME)), `${one} in ${fields.join(', ')}`);
      for (const one of lacks)
        assert.ok(
          !fields.some((field) => field === one || field.startsWith(`${one}: `)),
          `${one} in ${fields.join(', ')}`,
        );
    }
  }

  describe('HTTP/1.1 of a client', () => {
    for (const { what, sends, becomes } of HTTP1_CASES) {
      test(`${what}: ${typeof becomes === 'number' ? becomes : becomes.map(({ line }) => line).join(', ')}`, async () => {
        // What is wrong with a head is found before there is a request, what is wrong with a body within one.
        const counted = async (): Promise<number> =>
          (await metricSum(pair.client.ip, 'outbound_http_errors_total')) +
          (await metricSum(pair.client.ip, 'response_total', 'error="bad-request"'));
        const before = await counted();
        const answer = await send(sends);
        const found = await seen();
        if (typeof becomes !== 'number') return assertSeen(becomes, found);
        assert.match(answer, new RegExp(`^HTTP/1.1 ${becomes} [^]*connection: close\r\n\r\n$`));
        assert.equal(answer.match(/^HTTP\/1.1 /gm)?.length, 1);
        assert.deepEqual(found, []);
        assert.equal(await counted(), before + 1);
      });
    }

    test('Upgrade: what follows 101 is a tunnel, and nothing of it is a request', async () => {
      const wire = await pair.dial();
      const { socket } = wire;
      socket.write(`GET /up HTTP/1.1\r\nHost: ${NAME}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`);
      assert.match(await wire.until('\r\n\r\n'), /^HTTP\/1.1 101 /);
      const inside = 'GET /inside HTTP/1.1\r\nHost: x\r\n\r\n';
      socket.write(inside);
      assert.equal(await wire.rest(), `tunnel ${inside}`);
      socket.destroy();
      assertSeen(
        [{ line: 'GET /up HTTP/1.1', has: ['upgrade: websocket', 'connection: upgrade'] }],
        await seen(),
      );
    });

    test('Upgrade: what is sent before the answer waits; where the answer is no 101, it is the next request', async () => {
      const wire = await pair.dial();
      wire.socket.write(
        `GET /no HTTP/1.1\r\nHost: ${NAME}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nGET /next HTTP/1.1\r\nHost: ${NAME}\r\nConnection: close\r\n\r\n`,
      );
      await wire.rest();
      assertSeen([{ line: 'GET /no HTTP/1.1' }, { line: 'GET /next HTTP/1.1' }], await seen());
    });
  });

  describe('HTTP/2 of a peer, that an app gets as HTTP/1.1', () => {
    for (const { what, fields, becomes } of HTTP2_CASES) {
      test(`${what}: ${typeof becomes === 'number' ? becomes : becomes.map(({ line }) => line).join(', ')}`, async () => {
        const peer = await dialIsthmus(await pair.mesh.identity(pair.east, attacker), pair.server);
        const ours = [
          [':isthmus-port', String(appPort)],
          [':isthmus-protocol', 'http/1.1'],
        ] as const;
        // In front, so that the order of the case's own fields stays.
        const answer = await peer.ask([...ours, ...fields]);
        peer.close();
        const found = await seen();
        if (typeof becomes === 'number') {
          assert.equal(answer.status, becomes);
          assert.deepEqual(found, []);
        } else assertSeen(becomes, found);
      });
    }

    for (const { what, length, data } of HTTP2_BODIES) {
      test(`DATA with ${what}`, async () => {
        const own = new RawApp();
        const ended: Promise<void>[] = [];
        const to = await startWireApp(pair.mesh, pair.server.ip, (wire) => {
          const served = own.serve(wire);
          ended.push(served.catch(() => {}));
          return served;
        });
        const peer = await dialIsthmus(await pair.mesh.identity(pair.east, attacker), pair.server);
        const ours = [
          [':isthmus-port', String(to)],
          [':isthmus-protocol', 'http/1.1'],
        ] as const;
        const answer = await peer.ask([...ours, ...postOf(length)], data).catch(() => undefined);
        peer.close();
        await Promise.all(ended);
        const { requests, garbage } = own.take();
        if (data.length === Number(length)) {
          assert.equal(answer?.status, 200);
          assert.deepEqual(
            requests.map(({ startLine, body }) => [startLine, body]),
            [['POST /a HTTP/1.1', data]],
          );
          return;
        }
        assert.notEqual(answer?.status, 200);
        assert.deepEqual(requests, []);
        // The beginning of a request, cut off by the end of its connection, is all that may have come.
        for (const one of garbage) assert.match(one, /^left over: "POST \/a /);
        assert.deepEqual(await seen(), []);
      });
    }
  });
});
