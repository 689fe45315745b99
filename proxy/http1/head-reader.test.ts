import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Head } from '../message/head.ts';
import type { Exchange } from '../message/message.ts';
import { spanText } from '../bytes/span.ts';
import { FakeTransport } from '../testing/fake-transport.ts';
import { TimerWheel } from '../transport/timers.ts';
import { Http1ServerConnection } from './server-connection.ts';

/** A connection of a client, `asked` gets the path of each request. */
function client(asked: string[]): { readonly transport: FakeTransport; feed(text: string): void } {
  const transport = new FakeTransport();
  const route = () => ({
    requestHead(_x: Exchange, { path }: Head): void {
      asked.push(spanText(path));
    },
    requestData() {},
    requestTrailers() {},
    requestReset() {},
    responseConsumed() {},
  });
  const connection = new Http1ServerConnection(transport, { timers: new TimerWheel(() => 0), route });
  return {
    transport,
    feed(text) {
      const bytes = Buffer.from(text, 'latin1');
      connection.onData(bytes, 0, bytes.length);
    },
  };
}

test('heads that come in pieces on many connections keep apart, from whole ones and from broken ones as well', () => {
  const asked: string[] = [];
  const slow = Array.from({ length: 8 }, () => client(asked));
  const request = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
  const length = request('/0').length;
  for (let at = 0; at < length; at++) {
    for (const [i, one] of slow.entries()) one.feed(request(`/${i}`).slice(at, at + 1));
    client(asked).feed(request('/whole'));
    const broken = client(asked);
    broken.feed('GET /broken HTTP/1.1\r\nHost: ');
    broken.feed('\n\r\n');
    assert.match(broken.transport.text(), /^HTTP\/1\.1 400 /);
  }
  const whole = Array.from({ length }, () => '/whole');
  // The last bytes of the slow ones come before the last whole one.
  assert.deepEqual(asked, [...whole.slice(1), ...slow.map((_, i) => `/${i}`), '/whole']);
});
