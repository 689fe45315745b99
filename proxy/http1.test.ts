import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { startWirePair, type WirePair } from './testing/mesh/wire-pair.ts';

const END = '\r\n\r\n';

/** What HTTP/1.x leaves to the two ends, byte by byte through a pair of sidecars. */
for (const transport of ['fastest', 'streams'] as const)
  describe(`HTTP/1.x of apps, ${transport === 'fastest' ? 'on socket handles' : 'on public streams'}`, () => {
    let pair: WirePair;

    before(async () => {
      pair = await startWirePair({ transport });
    });
    after(() => pair.mesh.close());

    function get(name: string, path = '/', more = '', version = '1.1'): string {
      return `GET http://${name}${path} HTTP/${version}\r\nHost: ${name}\r\n${more}\r\n`;
    }

    function ok(body: string, more = ''): string {
      return `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n${more}\r\n${body}`;
    }

    test('requests that come in one write are answered in their order', async () => {
      const name = await pair.service('pipeline', async (app) => {
        for (;;) {
          const request = await app.until(END);
          const path = /^GET (\S+) /.exec(request)?.[1] ?? '';
          app.socket.write(ok(`answer to ${path}.`));
        }
      });
      const wire = await pair.dial();
      wire.socket.write(['/1', '/2', '/3'].map((path) => get(name, path)).join(''));
      const answers = await wire.until('answer to /3.');
      assert.deepEqual(answers.match(/answer to \/\d/g), ['answer to /1', 'answer to /2', 'answer to /3']);
    });

    test('Expect: 100-continue is between the two ends', async () => {
      const name = await pair.service('patient', async (app) => {
        const head = await app.until(END);
        assert.match(head, /expect: 100-continue/i);
        app.socket.write('HTTP/1.1 100 Continue\r\n\r\n');
        const body = await app.until('the body');
        app.socket.write(ok(`got ${body}`));
      });
      const wire = await pair.dial();
      wire.socket.write(
        `POST http://${name}/ HTTP/1.1\r\nHost: ${name}\r\nExpect: 100-continue\r\nContent-Length: 8\r\n\r\n`,
      );
      assert.equal(await wire.until(END), 'HTTP/1.1 100 Continue\r\n\r\n');
      wire.socket.write('the body');
      assert.ok((await wire.until('got the body')).startsWith('HTTP/1.1 200 '));
      const refusing = await pair.service('refusing', async (app) => {
        await app.until(END);
        app.socket.write('HTTP/1.1 417 Expectation Failed\r\ncontent-length: 0\r\n\r\n');
      });
      const other = await pair.dial();
      other.socket.write(
        `POST http://${refusing}/ HTTP/1.1\r\nHost: ${refusing}\r\nExpect: 100-continue\r\nContent-Length: 8\r\n\r\n`,
      );
      assert.match(await other.rest(), /^HTTP\/1.1 417 [\s\S]*connection: close\r\n\r\n$/);
    });

    test('what informs comes before the answer; a client of HTTP/1.0 is not told', async () => {
      const name = await pair.service('hints', async (app) => {
        for (;;) {
          await app.until(END);
          app.socket.write(`HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n${ok('whole')}`);
        }
      });
      const wire = await pair.dial();
      wire.socket.write(get(name));
      assert.deepEqual((await wire.until('whole')).match(/HTTP\/1.1 \d+|link: \S+/g), [
        'HTTP/1.1 103',
        'link: </a.css>',
        'HTTP/1.1 200',
      ]);
      const old = await pair.dial();
      old.socket.write(get(name, '/', '', '1.0'));
      assert.deepEqual((await old.rest()).match(/HTTP\/1.1 \d+/g), ['HTTP/1.1 200']);
    });

    test('HTTP/1.0: the end of the connection ends a body of unknown length; keep-alive where it is asked for', async () => {
      const name = await pair.service('old', async (app) => {
        for (;;) {
          const request = await app.until(END);
          if (request.startsWith('GET /sized')) app.socket.write(ok('sized'));
          else
            app.socket.write(
              'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n',
            );
        }
      });
      const wire = await pair.dial();
      wire.socket.write(get(name, '/sized', 'Connection: keep-alive\r\n', '1.0'));
      assert.match(await wire.until('sized'), /connection: keep-alive/);
      wire.socket.write(get(name, '/chunked', 'Connection: keep-alive\r\n', '1.0'));
      const answer = await wire.rest();
      assert.ok(answer.endsWith(`${END}onetwo`), answer);
      assert.doesNotMatch(answer, /transfer-encoding/);
    });

    test('HTTP/1.0: an answer that breaks off breaks the connection, whose end would make it whole', async () => {
      const apps: Socket[] = [];
      const name = await pair.service('torn', async (app) => {
        await app.until(END);
        apps.push(app.socket);
        app.socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n');
      });
      const wire = await pair.dial();
      wire.socket.write(get(name, '/', '', '1.0'));
      assert.ok((await wire.until('body')).endsWith(`${END}body`));
      apps[0]?.resetAndDestroy();
      await assert.rejects(wire.rest(), /broken/);
    });

    test('HEAD, 204 and 304 have no body, whatever their head says of one', async () => {
      const name = await pair.service('bodiless', async (app) => {
        for (;;) {
          const [, method, path] = /^(\S+) (\S+) /.exec(await app.until(END)) ?? [];
          if (method === 'HEAD') app.socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n');
          else if (path === '/204') app.socket.write('HTTP/1.1 204 No Content\r\n\r\n');
          else if (path === '/304')
            app.socket.write('HTTP/1.1 304 Not Modified\r\ncontent-length: 1000\r\n\r\n');
          else app.socket.write(ok('last'));
        }
      });
      const wire = await pair.dial();
      wire.socket.write(
        get(name).replace('GET', 'HEAD') + get(name, '/204') + get(name, '/304') + get(name, '/200'),
      );
      const answers = await wire.until('last');
      assert.deepEqual(answers.match(/HTTP\/1.1 \d+/g), [
        'HTTP/1.1 200',
        'HTTP/1.1 204',
        'HTTP/1.1 304',
        'HTTP/1.1 200',
      ]);
      assert.equal(answers.match(/content-length: 1000/g)?.length, 2);
    });

    test('fields of one connection stay on it; trace contexts go on as they are', async () => {
      let seen = '';
      const name = await pair.service('hops', async (app) => {
        seen = await app.until(END);
        app.socket.write(
          ok('x', 'keep-alive: timeout=9\r\nconnection: x-secret\r\nx-secret: 1\r\nx-open: 2\r\n'),
        );
      });
      const trace = [
        'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
        'tracestate: a=1,b=2',
        'x-b3-traceid: 80f198ee56343ba864fe8b2a57d3eff7',
        'x-b3-spanid: e457b5a2e4d86bd1',
        'x-b3-sampled: 1',
      ];
      const hops = [
        'Connection: X-Mine, close',
        'X-Mine: 1',
        'Keep-Alive: timeout=1',
        'Proxy-Connection: keep-alive',
        'Proxy-Authorization: Basic xyz',
        'TE: gzip, Trailers',
      ];
      const wire = await pair.dial();
      wire.socket.write(get(name, '/', `${[...hops, ...trace].join('\r\n')}\r\n`));
      const answer = await wire.rest();
      assert.deepEqual(
        seen.trim().split('\r\n').slice(1).toSorted(),
        [
          `host: ${name}`,
          `l5d-client-id: ${pair.client.dnsName}`,
          'te: trailers',
          'connection: te',
          ...trace,
        ].toSorted(),
      );
      assert.match(answer, /x-open: 2/);
      assert.doesNotMatch(answer, /x-secret|keep-alive/);
      assert.match(answer, /connection: close/);
    });

    test('the absolute form is the authority, whatever Host says; OPTIONS * and queries go on as they are', async () => {
      const lines: string[] = [];
      const name = await pair.service('forms', async (app) => {
        for (;;) {
          lines.push(...(await app.until(END)).split('\r\n').slice(0, 2));
          app.socket.write(ok('.'));
        }
      });
      const wire = await pair.dial();
      wire.socket.write(`GET http://${name}/p?a=/%20b HTTP/1.1\r\nHost: other.shop\r\n\r\n`);
      await wire.until('.');
      wire.socket.write(`OPTIONS * HTTP/1.1\r\nHost: ${name}\r\n\r\n`);
      await wire.until('.');
      wire.socket.write(`OPTIONS http://${name} HTTP/1.1\r\nHost: ${name}\r\n\r\n`);
      await wire.until('.');
      wire.socket.write(`GET http://${name} HTTP/1.1\r\nHost: ${name}\r\n\r\n`);
      await wire.until('.');
      assert.deepEqual(lines, [
        'GET /p?a=/%20b HTTP/1.1',
        `host: ${name}`,
        'OPTIONS * HTTP/1.1',
        `host: ${name}`,
        'OPTIONS * HTTP/1.1',
        `host: ${name}`,
        'GET / HTTP/1.1',
        `host: ${name}`,
      ]);
    });
  });
