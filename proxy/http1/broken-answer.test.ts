import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { causes } from '../errors.ts';
import { Head } from '../message/head.ts';
import type { Exchange } from '../message/message.ts';
import { FakeTransport } from '../testing/fake-transport.ts';
import { recorder, transportPair } from '../testing/loopback.ts';
import { TimerWheel } from '../transport/timers.ts';
import type { Transport } from '../transport/transport.ts';
import { TRANSPORTS } from '../testing/transports.ts';
import { Http1ServerConnection } from './server-connection.ts';

const HALF = Buffer.from('half');

/** Asks for something, of which half is answered before the answer breaks off in the same turn. */
function breakOff(transport: Transport, version: '1.0' | '1.1'): void {
  const connection = new Http1ServerConnection(transport, {
    timers: new TimerWheel(),
    route: () => ({
      requestHead(x: Exchange) {
        const head = new Head();
        head.status = 200;
        x.client.responseHead(x, head, false);
        x.client.responseData(x, HALF, 0, HALF.length, false);
        x.client.responseReset(x, causes.upstreamReset);
      },
      requestData() {},
      requestTrailers() {},
      requestReset() {},
      responseConsumed() {},
    }),
  });
  const request = Buffer.from(`GET / HTTP/${version}\r\nHost: a\r\n\r\n`);
  connection.onData(request, 0, request.length);
}

describe('an answer that breaks off', () => {
  for (const [name, wrap] of TRANSPORTS)
    test(`what came of it before reaches the client, on ${name}`, async () => {
      const { client, server } = await transportPair(wrap);
      const seen = recorder(client);
      breakOff(server, '1.1');
      await seen.until(() => seen.ended || seen.closed);
      assert.match(seen.bytes().toString(), /^HTTP\/1.1 200 OK\r\n[^]*\r\n\r\n4\r\nhalf\r\n$/);
      client.destroy();
    });

  test('whose end would be that of the connection breaks the connection; another is seen to lack its end', () => {
    for (const [version, wasReset] of [
      ['1.0', true],
      ['1.1', false],
    ] as const) {
      const transport = new FakeTransport();
      breakOff(transport, version);
      assert.deepEqual([transport.destroyed, transport.wasReset], [true, wasReset]);
    }
  });
});
