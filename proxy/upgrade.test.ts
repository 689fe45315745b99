import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { alpn } from '../api/names.ts';
import { metricSum, startApp } from './testing/mesh/http.ts';
import { startLinkerdPeer } from './testing/mesh/linkerd-peer.ts';
import { duration, trafficPolicy } from './testing/mesh/outbound-policy.ts';
import { meshedEndpoint } from './testing/mesh/test-mesh.ts';
import { startWireApp } from './testing/mesh/wire.ts';
import { startWirePair, type WirePair } from './testing/mesh/wire-pair.ts';

/** RFC 6455 section 1.3. */
const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const ACCEPT = createHash('sha1').update(`${KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
const END = '\r\n\r\n';

function handshake(authority: string, more = ''): string {
  return `GET http://${authority}/chat HTTP/1.1\r\nHost: ${authority}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: ${KEY}\r\nSec-WebSocket-Version: 13\r\n${more}\r\n`;
}

const SWITCHING = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${ACCEPT}\r\n\r\n`;

describe('Upgrade', () => {
  let pair: WirePair;

  before(async () => {
    pair = await startWirePair();
  });
  after(() => pair.mesh.close());

  test('a WebSocket: the handshake reaches the app whole, then bytes pass both ways', async () => {
    const seen: string[] = [];
    const name = await pair.service('chat', async (app) => {
      seen.push(await app.until(END));
      app.socket.write(`${SWITCHING}greeting`);
      seen.push(await app.until('question'));
      app.socket.write('answer');
      seen.push(await app.rest());
      app.socket.end('last words');
    });
    const wire = await pair.dial();
    wire.socket.write(handshake(name));
    const [head, rest] = (await wire.until('greeting')).split(END);
    assert.equal(rest, 'greeting');
    assert.deepEqual(head?.toLowerCase().split('\r\n').toSorted(), [
      'connection: upgrade',
      'http/1.1 101 switching protocols',
      `sec-websocket-accept: ${ACCEPT.toLowerCase()}`,
      'upgrade: websocket',
    ]);
    wire.socket.write('question');
    assert.equal(await wire.until('answer'), 'answer');
    wire.socket.end('\x88\x00', 'latin1');
    assert.equal(await wire.rest(), 'last words', 'each way ends by itself');
    const request = (seen[0] ?? '').trim().split('\r\n');
    assert.equal(request[0], 'GET /chat HTTP/1.1');
    assert.deepEqual(
      request
        .slice(1)
        .map((line) => line.toLowerCase())
        .toSorted(),
      [
        'connection: upgrade',
        `host: ${name}`,
        `l5d-client-id: ${pair.client.dnsName}`,
        `sec-websocket-key: ${KEY.toLowerCase()}`,
        'sec-websocket-version: 13',
        'upgrade: websocket',
      ],
    );
    assert.deepEqual(seen.slice(1), ['question', '\x88\x00']);
  });

  test('what the client sends before it is answered waits for the answer', async () => {
    const name = await pair.service('eager', async (app) => {
      await app.until(END);
      app.socket.write(SWITCHING);
      app.socket.end(await app.until('early'));
    });
    const wire = await pair.dial();
    wire.socket.write(`${handshake(name)}early`);
    assert.ok((await wire.rest()).endsWith(`${END}early`));
  });

  test('a megabyte each way', async () => {
    const megabyte = 'isthmus '.repeat(131_072);
    const name = await pair.service('bulk', async (app) => {
      await app.until(END);
      app.socket.write(SWITCHING);
      app.socket.end(await app.rest());
    });
    const wire = await pair.dial();
    wire.socket.write(handshake(name));
    await wire.until(END);
    wire.socket.end(megabyte);
    assert.ok((await wire.rest()) === megabyte);
  });

  test('an app that declines answers as to any request, and the connection goes on', async () => {
    const app = await startApp(pair.mesh, pair.server.ip, (incoming, response) => response.end(incoming.url));
    pair.east.controlPlane.setService('plain.shop:80', [meshedEndpoint(pair.server, app.port)]);
    const wire = await pair.dial();
    wire.socket.write(
      `${handshake('plain.shop')}GET http://plain.shop/next HTTP/1.1\r\nHost: plain.shop\r\n\r\n`,
    );
    const answers = await wire.until('/next');
    assert.deepEqual(answers.match(/HTTP\/1.1 \d+/g), ['HTTP/1.1 200', 'HTTP/1.1 200']);
    assert.match(answers, /\/chatHTTP/);
    assert.equal(app.connections, 1, 'the connection to the app went on as well');
  });

  for (const [what, more] of [
    ['h2c', 'Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n'],
    ['a choice of protocols', 'Upgrade: websocket, other\r\nConnection: Upgrade\r\n'],
    ['a request with a body', 'Upgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 1\r\n'],
    ['an Upgrade that Connection does not name', 'Upgrade: websocket\r\n'],
  ] as const) {
    test(`${what}: the Upgrade stays here, the request goes on without it`, async () => {
      const app = await startApp(pair.mesh, pair.server.ip, (incoming, response) => {
        incoming.resume();
        response.end(JSON.stringify(incoming.headers));
      });
      pair.east.controlPlane.setService('ignore.shop:80', [meshedEndpoint(pair.server, app.port)]);
      const wire = await pair.dial();
      wire.socket.write(
        `POST http://ignore.shop/ HTTP/1.1\r\nHost: ignore.shop\r\n${more}\r\n${what.endsWith('body') ? 'x' : ''}`,
      );
      const answer = await wire.until('}');
      assert.match(answer, /^HTTP\/1.1 200 /);
      const seen = JSON.parse(answer.slice(answer.indexOf('{'))) as Record<string, string>;
      assert.deepEqual([seen['upgrade'], seen['http2-settings']], [undefined, undefined]);
    });
  }

  test('a 101 that nobody asked for: 502', async () => {
    const name = await pair.service('liar', async (app) => {
      await app.until(END);
      app.socket.write(SWITCHING);
    });
    const wire = await pair.dial();
    wire.socket.write(`GET http://${name}/ HTTP/1.1\r\nHost: ${name}\r\n\r\n`);
    assert.match(await wire.until(END), /^HTTP\/1.1 502 /);
  });

  test('an app that breaks off breaks the client’s connection, and the other way round', async () => {
    let gone: Promise<unknown> | undefined;
    const name = await pair.service('brittle', async (app) => {
      await app.until(END);
      app.socket.write(SWITCHING);
      gone = new Promise((resolve) => app.socket.once('close', resolve));
      await app.until('break');
      app.socket.resetAndDestroy();
    });
    const wire = await pair.dial();
    wire.socket.write(handshake(name));
    await wire.until(END);
    wire.socket.write('break');
    await assert.rejects(wire.rest(), /broken/);
    const other = await pair.dial();
    other.socket.write(handshake(name));
    await other.until(END);
    other.socket.resetAndDestroy();
    await gone;
  });

  test('the timeout of its route is for the handshake, not for what follows', async () => {
    const name = await pair.service('timed', async (app) => {
      if ((await app.until(END)).startsWith('GET /hang')) return;
      app.socket.write(SWITCHING);
      app.socket.end(await app.until('still there?'));
    });
    const policy = trafficPolicy({ timeouts: { request: duration(2_000), response: duration(2_000) } });
    pair.east.controlPlane.setOutbound(`${name}:80`, policy);
    const wire = await pair.dial();
    wire.socket.write(handshake(name));
    await wire.until(END);
    // Asked after the handshake: when its time is over, so is the handshake's.
    const slow = await pair.dial();
    slow.socket.write(`GET http://${name}/hang HTTP/1.1\r\nHost: ${name}\r\n\r\n`);
    assert.match(await slow.until(END), /^HTTP\/1.1 504 /);
    wire.socket.write('still there?');
    assert.equal(await wire.rest(), 'still there?');
  });

  test('to a server outside of the mesh, and to one behind Linkerd’s proxy', async () => {
    const plain = await startWireApp(pair.mesh, pair.server.ip, async (app) => {
      await app.until(END);
      app.socket.end(`${SWITCHING}plain`);
    });
    const wire = await pair.dial();
    wire.socket.write(handshake(`${pair.server.ip}:${plain}`));
    assert.ok((await wire.rest()).endsWith(`${END}plain`));

    const pod = pair.mesh.pod(pair.east, 'linkerd');
    const peer = await startLinkerdPeer(pair.mesh, pod, alpn.linkerd, ({ socket }) => {
      socket.on('data', (chunk: Buffer) => {
        if (chunk.includes('upgrade: websocket')) socket.end(`${SWITCHING}linkerd`);
      });
    });
    pair.east.controlPlane.setService('linkerd.shop:80', [
      { address: pod.ip, port: 80, dnsName: pod.dnsName, inboundPort: peer.port, http2: true },
    ]);
    const third = await pair.dial();
    third.socket.write(handshake('linkerd.shop'));
    assert.ok((await third.rest()).endsWith(`${END}linkerd`));
  });

  test('counted as a request with the status 101', async () => {
    assert.ok(
      (await metricSum(pair.server.ip, 'response_total', 'direction="inbound"', 'status_code="101"')) >= 3,
    );
  });
});
