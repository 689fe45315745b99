import assert from 'node:assert/strict';
import { constants } from 'node:http2';
import { after, describe, test } from 'node:test';
import { port } from '../api/names.ts';
import { ask, startApp } from '../proxy/testing/mesh/http.ts';
import { http2Through, startHttp2App } from '../proxy/testing/mesh/http2.ts';
import { ask2 } from '../proxy/testing/mesh/mesh-client.ts';
import { dialWire, startWireApp } from '../proxy/testing/mesh/wire.ts';
import { startWay, WAYS } from './testing/ways.ts';

const END = '\r\n\r\n';

/** What apps of one cluster speak is what apps of the other get, whichever way their sidecar and the gateway speak to each other. */
for (const way of WAYS) {
  const { mesh, client, server, exported } = await startWay(way);
  describe(`through a gateway by ${way.name}`, () => {
    after(() => mesh.close());

    test('HTTP/1.1', async () => {
      const app = await startApp(mesh, server.ip, (incoming, response) =>
        response.end(JSON.stringify([incoming.httpVersion, incoming.headers])),
      );
      const mirror = exported('old', app.port);
      const answer = await ask(client.ip, `http://${mirror}/`);
      assert.deepEqual([answer.status, answer.headers['l5d-orig-proto']], [200, undefined]);
      const [version, headers] = JSON.parse(answer.body.toString()) as [string, Record<string, string>];
      assert.equal(version, '1.1');
      assert.equal(headers['l5d-client-id'], client.spiffeId);
      assert.equal(headers['l5d-orig-proto'], undefined);
    });

    test('HTTP/2', async () => {
      const app = await startHttp2App(mesh, server.ip, (stream, headers) => {
        stream.respond({ ':status': 200, 'x-seen': JSON.stringify(headers) });
        stream.pipe(stream);
      });
      const mirror = exported('new', app.port);
      const session = await http2Through(mesh, client.ip, `${mirror}:80`);
      const body = 'isthmus '.repeat(50_000);
      const answer = await ask2(session, { ':method': 'POST', ':path': '/' }, body);
      assert.ok(answer.body === body);
      const seen = JSON.parse(String(answer.headers['x-seen'])) as Record<string, string>;
      assert.deepEqual([seen['l5d-client-id'], seen['l5d-orig-proto']], [client.spiffeId, undefined]);
    });

    test('an app that resets a stream before its answer: the client hears the code', async () => {
      const app = await startHttp2App(mesh, server.ip, (stream) => stream.close(constants.NGHTTP2_CANCEL));
      const mirror = exported('late', app.port);
      const stream = (await http2Through(mesh, client.ip, `${mirror}:80`)).request({ ':path': '/' });
      const answers: unknown[] = [];
      stream.on('response', (headers) => answers.push(headers));
      stream.on('error', () => {});
      await new Promise((resolve) => stream.once('close', resolve));
      assert.deepEqual([answers, stream.rstCode], [[], constants.NGHTTP2_CANCEL]);
    });

    test('bytes that break off on one side break off on the other', async () => {
      const gone = Promise.withResolvers<string>();
      const at = await startWireApp(mesh, server.ip, async (app) => {
        const asked = await app.until('.');
        if (asked === '\0break.') {
          app.socket.resetAndDestroy();
          return;
        }
        app.socket.write('.');
        await app.rest().then(gone.resolve, gone.reject);
      });
      const mirror = exported('raw', at);
      const dial = async () => {
        const wire = await dialWire(mesh, client.ip, port.outbound);
        wire.socket.write(`CONNECT ${mirror}:80 HTTP/1.1\r\nHost: ${mirror}\r\n\r\n`);
        await wire.until(END);
        return wire;
      };
      const broken = await dial();
      broken.socket.write('\0break.');
      await assert.rejects(broken.rest(), /broken/);
      const breaking = await dial();
      breaking.socket.write('\0stay.');
      await breaking.until('.');
      const broke = assert.rejects(gone.promise, /broken/);
      breaking.socket.resetAndDestroy();
      await broke;
    });

    test('a WebSocket', async () => {
      const at = await startWireApp(mesh, server.ip, async (app) => {
        await app.until(END);
        app.socket.write(
          'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
        );
        app.socket.end(`heard ${await app.rest()}`);
      });
      const mirror = exported('chat', at);
      const wire = await dialWire(mesh, client.ip, port.outbound);
      wire.socket.write(
        `GET http://${mirror}/ HTTP/1.1\r\nHost: ${mirror}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
      );
      assert.match(await wire.until(END), /^HTTP\/1.1 101 /);
      wire.socket.end('a word');
      assert.equal(await wire.rest(), 'heard a word');
    });
  });
}
