import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { Head } from '../../proxy/message/head.ts';
import type { Exchange, RequestSink } from '../../proxy/message/message.ts';
import { fieldsOf } from '../fuzz/relay.ts';
import { listenHttp2 } from '../../proxy/testing/http2-server.ts';
import { TRANSPORTS } from '../../proxy/testing/transports.ts';

const run = promisify(execFile);
const isThere = (name: string): boolean =>
  (process.env['PATH'] ?? '').split(delimiter).some((folder) => existsSync(join(folder, name)));
const BODY = Buffer.alloc(300_000, 'body of a request. ');

/** Sends back what comes, and the fields of the request as fields. */
class Echo implements RequestSink {
  readonly requests: string[][] = [];
  requestHead(x: Exchange, head: Head, end: boolean): void {
    this.requests.push(fieldsOf(head));
    const answer = new Head();
    answer.status = 200;
    const [name, value] = [
      Buffer.from('x-same-each-time'),
      Buffer.from('a value that is worth a place in the table'),
    ];
    answer.add(0, name, 0, name.length, value, 0, value.length);
    x.client.responseHead(x, answer, end);
  }
  requestData(x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void {
    x.client.requestConsumed(x, end - start);
    x.client.responseData(x, buffer, start, end, last);
  }
  requestTrailers(x: Exchange): void {
    x.client.responseData(x, Buffer.alloc(0), 0, 0, true);
  }
  requestReset(): void {}
  responseConsumed(): void {}
}

/** nghttp2's own tools, where they are installed (Debian: nghttp2-client). */
describe(
  'HTTP/2 with nghttp2',
  { skip: isThere('nghttp') && isThere('h2load') ? false : 'nghttp and h2load are not installed' },
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'isthmus-nghttp2-'));
    const file = join(folder, 'body');
    before(() => writeFileSync(file, BODY));
    after(() => rmSync(folder, { recursive: true, force: true }));

    for (const [maker, wrap] of TRANSPORTS) {
      test(`nghttp: bodies, padding, large heads in CONTINUATION, a small header table; on ${maker}`, async (t) => {
        const echo = new Echo();
        const listener = await listenHttp2(wrap, echo);
        t.after(() => listener.close());
        const url = `http://127.0.0.1:${listener.port}/`;
        const long = Array.from({ length: 20 }, (_, i) => ['-H', `x-long-${i}: ${'v'.repeat(1_000)}`]).flat();
        const { stdout } = await run('nghttp', ['-d', file, '-b', '7', '-c', '128', ...long, url], {
          maxBuffer: 8 * BODY.length,
        });
        assert.equal(stdout, BODY.toString());
        assert.deepEqual(echo.requests[0]?.filter((field) => field.startsWith('x-long-')).length, 20);
        const verbose = await run('nghttp', ['-nv', '-m', '4', url]);
        assert.match(verbose.stdout, /x-same-each-time: a value that is worth a place in the table/);
        assert.doesNotMatch(
          verbose.stdout,
          /GOAWAY[^]*(?:PROTOCOL|COMPRESSION|FLOW_CONTROL|FRAME_SIZE)_ERROR/,
        );
      });

      test(`h2load: many streams on a few connections, with bodies; on ${maker}`, async (t) => {
        const echo = new Echo();
        const listener = await listenHttp2(wrap, echo);
        t.after(() => listener.close());
        const { stdout } = await run('h2load', [
          '-n',
          '60',
          '-c',
          '2',
          '-m',
          '10',
          '-d',
          file,
          `http://127.0.0.1:${listener.port}/`,
        ]);
        assert.match(
          stdout,
          /requests: 60 total, 60 started, 60 done, 60 succeeded, 0 failed, 0 errored, 0 timeout/,
        );
        assert.equal(echo.requests.length, 60);
      });
    }
  },
);
