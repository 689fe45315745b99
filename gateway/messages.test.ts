import assert from 'node:assert/strict';
import { once } from 'node:events';
import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { after, describe, test } from 'node:test';
import { port } from '../api/names.ts';
import { Flag, FrameType } from '../proxy/http2/frames.ts';
import { frame, wordFrame } from '../proxy/testing/http2-frames.ts';
import { serveFrames } from '../proxy/testing/mesh/frame-server.ts';
import { http2Through, startHttp2App } from '../proxy/testing/mesh/http2.ts';
import { dialWire, startWireApp, type Wire } from '../proxy/testing/mesh/wire.ts';
import { startWay, WAYS } from './testing/ways.ts';

const END = '\r\n\r\n';
/** More than all windows and buffers between the two ends hold: who sends it hears of an early answer while it is still sending. */
const ENDLESS = 64 * 1024 * 1024;

/** Messages of apps as bytes: all that a message can have besides a head and a body comes through, both ways. */
for (const way of WAYS) {
  const { mesh, client, server, exported } = await startWay(way);
  describe(`through a gateway by ${way.name}`, () => {
    after(() => mesh.close());

    /** An app that is served byte by byte, and a connection of a client whose requests go to it by the path that is added. */
    async function wires(name: string, serve: (app: Wire) => Promise<void>): Promise<[Wire, string]> {
      const mirror = exported(name, await startWireApp(mesh, server.ip, serve));
      return [
        await dialWire(mesh, client.ip, port.outbound),
        `http://${mirror}/ HTTP/1.1\r\nHost: ${mirror}\r\n`,
      ];
    }

    /** A stream of HTTP/2, and the app's end of it. */
    async function streams(name: string, headers: IncomingHttpHeaders = {}) {
      const arrived = Promise.withResolvers<[ServerHttp2Stream, IncomingHttpHeaders]>();
      const app = await startHttp2App(mesh, server.ip, (...stream) => arrived.resolve(stream));
      const mirror = exported(name, app.port);
      const session = await http2Through(mesh, client.ip, `${mirror}:80`);
      const stream = session.request(
        { ':method': 'POST', ':path': '/', ...headers },
        { endStream: false, waitForTrailers: true },
      );
      stream.on('error', () => {});
      const [served, seen] = await arrived.promise;
      return { stream, served, seen };
    }

    test('100 and 103 come before the answer, 100 before the body is sent', async () => {
      const [wire, request] = await wires('informs', async (app) => {
        await app.until(END);
        app.socket.write('HTTP/1.1 100 Continue\r\n\r\n');
        await app.until('body');
        app.socket.write('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n');
        app.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      });
      wire.socket.write(`POST ${request}Expect: 100-continue\r\nContent-Length: 4\r\n\r\n`);
      assert.match(await wire.until(END), /^HTTP\/1.1 100 /);
      wire.socket.write('body');
      assert.match(await wire.until('ok'), /^HTTP\/1.1 103 [^]*\r\nlink: <\/a>\r\n\r\nHTTP\/1.1 200 /i);
    });

    test('trailers of HTTP/1.1, both ways', async () => {
      const heard = Promise.withResolvers<string>();
      const [wire, request] = await wires('trails', async (app) => {
        heard.resolve(await app.until(`x-sum: 1${END}`));
        app.socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n');
        app.socket.write('2\r\nok\r\n0\r\nx-sum: 2\r\n\r\n');
      });
      wire.socket.write(
        `POST ${request}TE: trailers\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n`,
      );
      wire.socket.write('4\r\nbody\r\n0\r\nx-sum: 1\r\n\r\n');
      assert.match(await wire.until(`x-sum: 2${END}`), /2\r\nok\r\n0\r\n/);
      assert.match(await heard.promise, /4\r\nbody\r\n0\r\n/);
    });

    for (const status of [413, 417])
      test(`${status} in the midst of a body reaches who is still sending it`, async () => {
        const [wire, request] = await wires('refuses', async (app) => {
          await app.until('begun');
          app.socket.end(`HTTP/1.1 ${status} No\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno`);
        });
        wire.socket.write(`POST ${request}Content-Length: ${ENDLESS}\r\n\r\nbegun`);
        assert.match(await wire.until('no'), new RegExp(`^HTTP/1.1 ${status} `));
      });

    test('HEAD, 204 and 304 have no body, and the next answer is the next request’s', async () => {
      const [wire, request] = await wires('bodiless', async (app) => {
        for (;;) {
          const asked = await app.until(END);
          if (asked.startsWith('HEAD')) app.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n');
          else if (asked.includes('x-want: 204')) app.socket.write('HTTP/1.1 204 No Content\r\n\r\n');
          else if (asked.includes('x-want: 304'))
            app.socket.write('HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n');
          else app.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole');
        }
      });
      for (const [method, want, head] of [
        ['HEAD', '200', /^HTTP\/1.1 200 [^]*\r\ncontent-length: 5\r\n/i],
        ['GET', '204', /^HTTP\/1.1 204 [^]*\r\n\r\n$/],
        ['GET', '304', /^HTTP\/1.1 304 [^]*\r\n\r\n$/],
      ] as const) {
        wire.socket.write(`${method} ${request}x-want: ${want}\r\n\r\n`);
        assert.match(await wire.until(END), head);
      }
      wire.socket.write(`GET ${request}\r\n`);
      assert.match(await wire.until('whole'), /^HTTP\/1.1 200 /);
    });

    test('a tunnel whose ends end one after the other, whichever is first', async () => {
      for (const first of ['client', 'app'] as const) {
        const heard = Promise.withResolvers<string>();
        const at = await startWireApp(mesh, server.ip, async (app) => {
          await app.until('\0hello');
          app.socket.write('.');
          if (first === 'app') app.socket.end('goodbye');
          heard.resolve(await app.rest());
          if (first === 'client') app.socket.end('goodbye');
        });
        const mirror = exported('tunnel', at);
        const wire = await dialWire(mesh, client.ip, port.outbound);
        wire.socket.write(`CONNECT ${mirror}:80 HTTP/1.1\r\nHost: ${mirror}\r\n\r\n`);
        await wire.until(END);
        wire.socket.write('\0hello');
        if (first === 'client') await wire.until('.');
        if (first === 'client') wire.socket.end('and more');
        assert.match(await wire.rest(), /^\.?goodbye$/);
        if (first === 'app') wire.socket.end('and more');
        assert.equal(await heard.promise, 'and more');
      }
    });

    test('HTTP/2: 103, and trailers both ways', async () => {
      const { stream, served } = await streams('trails2');
      const informed = once(stream, 'headers');
      served.additionalHeaders({ ':status': 103, link: '</a>' });
      const [early] = (await informed) as [IncomingHttpHeaders];
      assert.deepEqual([early[':status'], early['link']], [103, '</a>']);
      const [seen, trailed] = [once(served, 'trailers'), once(stream, 'trailers')];
      served.resume();
      stream.once('wantTrailers', () => stream.sendTrailers({ 'x-sum': '1' }));
      stream.end('body');
      assert.equal(((await seen) as [IncomingHttpHeaders])[0]['x-sum'], '1');
      served.respond({ ':status': 200 }, { waitForTrailers: true });
      served.once('wantTrailers', () => served.sendTrailers({ 'x-sum': '2' }));
      served.end('ok');
      stream.resume();
      assert.equal(((await trailed) as [IncomingHttpHeaders])[0]['x-sum'], '2');
    });

    for (const [phase, answers] of [
      ['before the answer', false],
      ['within it', true],
    ] as const) {
      test(`HTTP/2: a client that resets ${phase} is heard by the app`, async () => {
        const { stream, served } = await streams('left');
        if (answers) {
          const begun = once(stream, 'data');
          served.respond({ ':status': 200 });
          served.write('a part');
          await begun;
        }
        const closed = new Promise((resolve) => served.once('close', resolve));
        stream.close(constants.NGHTTP2_INTERNAL_ERROR);
        await closed;
        assert.equal(served.rstCode, constants.NGHTTP2_INTERNAL_ERROR);
      });
    }

    test('HTTP/2: an app that resets within its answer is heard by the client', async () => {
      const part = (id: number): Buffer[] => [
        frame(FrameType.headers, Flag.endHeaders, id, Buffer.from('88', 'hex')),
        frame(FrameType.data, 0, id, 'a part'),
        wordFrame(FrameType.reset, id, constants.NGHTTP2_ENHANCE_YOUR_CALM),
      ];
      const at = await startWireApp(mesh, server.ip, ({ socket }) => serveFrames(socket, 0, part));
      const session = await http2Through(mesh, client.ip, `${exported('breaks', at)}:80`);
      const stream = session.request({ ':method': 'POST', ':path': '/' }, { endStream: false });
      stream.on('error', () => {});
      await new Promise((resolve) => stream.once('close', resolve));
      assert.equal(stream.rstCode, constants.NGHTTP2_ENHANCE_YOUR_CALM);
    });

    test('gRPC: a call that fails at once, and one whose time is over', async () => {
      const call = { 'content-type': 'application/grpc', te: 'trailers' };
      const failing = await streams('fails', call);
      const answered = once(failing.stream, 'response');
      failing.served.respond(
        { ':status': 200, 'grpc-status': '5', 'grpc-message': 'gone' },
        { endStream: true },
      );
      const [answer] = (await answered) as [IncomingHttpHeaders];
      assert.deepEqual([answer['grpc-status'], answer['grpc-message']], ['5', 'gone']);

      // Time enough to reach the app, also on a busy machine: it says when the call has come.
      const slow = await streams('slow', { ...call, 'grpc-timeout': '2S' });
      const over = once(slow.stream, 'response');
      const left = once(slow.served, 'close');
      assert.match(String(slow.seen['grpc-timeout']), /^[0-9]+[mun]$/);
      const [late] = (await over) as [IncomingHttpHeaders];
      assert.equal(late['grpc-status'], '4');
      await left;
    });
  });
}
