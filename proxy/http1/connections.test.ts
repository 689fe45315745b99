import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { causes } from '../errors.ts';
import type { Head } from '../message/head.ts';
import type { Exchange, RequestSink } from '../message/message.ts';
import { makeCertificates } from '../testing/certificates.ts';
import type { TestCertificates } from '../testing/certificates.ts';
import { http2Pair } from '../testing/http2-pair.ts';
import type { Http2Pair } from '../testing/http2-pair.ts';
import { listenLoopback, listenTransports } from '../testing/loopback.ts';
import { connectPlain } from '../transport/connect.ts';
import type { Wrap } from '../transport/transport.ts';
import { TimerWheel } from '../transport/timers.ts';
import { Http1ClientConnection } from './client-connection.ts';
import { Http1ServerConnection } from './server-connection.ts';
import { TRANSPORTS } from '../testing/transports.ts';
import { WaitingSink } from '../testing/waiting-sink.ts';

const timers = new TimerWheel();

/** Connections to the app: one exchange at a time, taken again while they can be. */
function appPool(wrap: Wrap, port: number) {
  const counts = { upstreams: 0 };
  const idle: Http1ClientConnection[] = [];
  const route = (_x: Exchange, _head: Head): RequestSink => {
    const pooled = idle.pop();
    if (pooled !== undefined && pooled.reusable) return pooled;
    const waiting = new WaitingSink();
    counts.upstreams++;
    connectPlain({ host: '127.0.0.1', port, timeoutMs: 5_000, tcp: wrap.tcp }, (_error, made) => {
      if (made === undefined) {
        waiting.fail(causes.connectFailed);
        return;
      }
      const connection = new Http1ClientConnection(wrap(made), {
        timers,
        onIdle: (c) => idle.push(c),
        onClose: (c) => {
          const i = idle.indexOf(c);
          if (i >= 0) idle.splice(i, 1);
        },
      });
      waiting.open(connection);
    });
    return waiting;
  };
  return { route, counts };
}

interface Proxy {
  port: number;
  upstreams(): number;
  close(): void;
}

/** The smallest proxy: HTTP/1 in, HTTP/1 out; between them nothing, or an `isthmus/1` connection over TLS. */
async function startProxy(wrap: Wrap, upstreamPort: number, certificates?: TestCertificates): Promise<Proxy> {
  const pool = appPool(wrap, upstreamPort);
  let { route } = pool;
  let between: Http2Pair | undefined;
  if (certificates !== undefined) {
    const pair = await http2Pair(wrap, timers, pool.route, { certificates });
    between = pair;
    route = () => pair.client;
  }
  const listener = await listenTransports(
    wrap,
    (transport) => void new Http1ServerConnection(transport, { timers, route }),
  );
  return {
    port: listener.port,
    upstreams: () => pool.counts.upstreams,
    close: () => {
      listener.close();
      between?.client.destroy();
    },
  };
}

/** Sends bytes and reads to the end of the connection. */
function exchange(port: number, bytes: string, half = true): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    const chunks: Buffer[] = [];
    socket.on('data', (c: Buffer) => chunks.push(c));
    socket.on('end', () => {
      socket.end();
      resolve(Buffer.concat(chunks).toString('latin1'));
    });
    socket.on('error', reject);
    socket.write(bytes, 'latin1');
    if (half) socket.end();
  });
}

function app(request: IncomingMessage, response: ServerResponse): void {
  const chunks: Buffer[] = [];
  request.on('data', (c: Buffer) => chunks.push(c));
  request.on('end', () => {
    const body = Buffer.concat(chunks);
    switch (request.url) {
      case '/trailers':
        response.setHeader('trailer', 'x-sum');
        response.write('part');
        response.addTrailers({ 'x-sum': String(body.length), ...request.trailers });
        response.end();
        break;
      case '/empty':
        response.writeHead(204).end();
        break;
      case '/close':
        response.setHeader('connection', 'close');
        response.end('bye');
        break;
      case '/early':
        response.writeEarlyHints({ link: '</a.css>; rel=preload' });
        response.end('late');
        break;
      default:
        response.setHeader('x-seen', JSON.stringify([request.method, request.url, request.headers]));
        response.setHeader('content-length', body.length);
        response.end(body);
    }
  });
}

for (const [maker, wrap] of TRANSPORTS)
  for (const between of ['nothing', 'isthmus/1'])
    describe(`HTTP/1 in, HTTP/1 out, ${between} between, on ${maker}`, () => {
      const upstream = createServer(app);
      let proxy: Proxy;
      let certificates: TestCertificates | undefined;
      before(async () => {
        await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
        certificates = between === 'nothing' ? undefined : await makeCertificates('peer.test');
        proxy = await startProxy(wrap, (upstream.address() as AddressInfo).port, certificates);
      });
      after(() => {
        proxy.close();
        upstream.closeAllConnections();
        upstream.close();
      });

      test('GET: hop-by-hop fields end at the proxy, the others arrive; Host is the authority', async () => {
        const answer = await exchange(
          proxy.port,
          'GET http://shop.test:81/a?b=1 HTTP/1.1\r\nHost: other\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nX-End: 2\r\nTE: gzip\r\nProxy-Authorization: Basic x\r\n\r\n',
        );
        assert.match(answer, /^HTTP\/1.1 200 OK\r\n/);
        assert.match(answer, /\r\nconnection: close\r\n/);
        const seen = JSON.parse(/x-seen: (.*)\r\n/.exec(answer)?.[1] ?? '') as [
          string,
          string,
          Record<string, string>,
        ];
        assert.deepEqual(seen, ['GET', '/a?b=1', { host: 'shop.test:81', 'x-end': '2' }]);
      });

      test('bodies: declared length, chunked, empty POST; keep-alive and pipelining in order on one upstream connection', async () => {
        const before = proxy.upstreams();
        const answer = await exchange(
          proxy.port,
          'POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc' +
            'POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\ndef\r\n2\r\ngh\r\n0\r\n\r\n' +
            'POST /3 HTTP/1.1\r\nHost: a\r\n\r\n' +
            'GET /4 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
        );
        const bodies = answer.split('HTTP/1.1 200 OK\r\n').map((part) => part.split('\r\n\r\n')[1]);
        assert.deepEqual(bodies, [undefined, 'abc', 'defgh', '', '']);
        assert.ok(proxy.upstreams() - before <= 1);
      });

      test('HEAD, 204, informational heads, trailers, an upstream that closes', async () => {
        const head = await exchange(proxy.port, 'HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
        assert.match(head, /content-length: 0\r\n.*\r\n\r\n$/s);
        assert.match(
          await exchange(proxy.port, 'GET /empty HTTP/1.1\r\nHost: a\r\n\r\n'),
          /^HTTP\/1.1 204 No Content\r\n.*\r\n\r\n$/s,
        );
        const early = await exchange(proxy.port, 'GET /early HTTP/1.1\r\nHost: a\r\n\r\n');
        assert.match(early, /^HTTP\/1.1 103 Early Hints\r\nLink: .*\r\n\r\nHTTP\/1.1 200 OK\r\n/is);
        const trailers = await exchange(
          proxy.port,
          'POST /trailers HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nz\r\n0\r\nX-Req: yes\r\n\r\n',
        );
        assert.match(trailers, /\r\n4\r\npart\r\n0\r\nx-sum: 1\r\nx-req: yes\r\n\r\n$/i);
        assert.match(await exchange(proxy.port, 'GET /close HTTP/1.1\r\nHost: a\r\n\r\n'), /bye$/);
      });

      test('HTTP/1.0: no chunked answer, keep-alive only when asked for', async () => {
        const closed = await exchange(proxy.port, 'GET /trailers HTTP/1.0\r\n\r\n', false);
        assert.match(closed, /\r\nconnection: close\r\n\r\npart$|\r\n\r\npart$/);
        assert.doesNotMatch(closed, /chunked/);
        const kept = await exchange(
          proxy.port,
          'GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /close HTTP/1.0\r\n\r\n',
          false,
        );
        assert.match(kept, /connection: keep-alive\r\n.*bye$/s);
      });

      test('Expect: 100-continue is passed on and answered by the server', async () => {
        const socket = connect({ host: '127.0.0.1', port: proxy.port });
        socket.write('POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n');
        let got = '';
        await new Promise<void>((resolve) => {
          socket.on('data', (c: Buffer) => {
            got += c.toString();
            if (got.endsWith('100 Continue\r\n\r\n')) socket.write('ok');
            if (got.endsWith('\r\n\r\nok')) resolve();
          });
        });
        socket.destroy();
      });

      test('3 MB both ways', async () => {
        const body = 'x'.repeat(3_000_000);
        const answer = await exchange(
          proxy.port,
          `POST /big HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
        );
        assert.equal(answer.length - answer.indexOf('\r\n\r\n') - 4, body.length);
      });

      test('an absent upstream is 502 with its cause, and the connection goes on', async () => {
        const gone = await listenLoopback(() => undefined);
        gone.close();
        const broken = await startProxy(wrap, gone.port, certificates);
        const answer = await exchange(
          broken.port,
          'GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
        );
        broken.close();
        const one = 'HTTP/1.1 502 Bad Gateway\r\nl5d-proxy-error: connect-failed\r\ncontent-length: 0\r\n';
        assert.equal(answer, `${one}\r\n${one}connection: close\r\n\r\n`);
      });
    });
