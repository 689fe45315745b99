import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { makeCertificates } from '../testing/certificates.ts';
import type { TestCertificates } from '../testing/certificates.ts';
import { Recorder, recorder, transportPair } from '../testing/loopback.ts';
import { HIGH_WATER, SHARED_HIGH_WATER } from './base.ts';
import { chooseTransport } from './choose.ts';
import { handleWrap } from './handle-transport.ts';
import { wrapStream } from './stream-transport.ts';
import type { Transport } from './transport.ts';

const handles = handleWrap(wrapStream);
let certificates: TestCertificates;
before(async () => {
  certificates = await makeCertificates('peer.test');
});

/** Writes all of it, as fast as the other side takes it. */
function writeAll(transport: Transport, bytes: Buffer): void {
  let at = 0;
  const more = (): void => {
    while (at < bytes.length) {
      const next = Math.min(at + 50_000, bytes.length);
      const room = transport.write(bytes, at, next);
      at = next;
      if (!room) return;
    }
    transport.end();
  };
  const { handler } = transport;
  transport.handler = {
    onData: (b, s, e) => handler.onData(b, s, e),
    onDrain: more,
    onEnd: () => handler.onEnd(),
    onClose: () => handler.onClose(),
  };
  more();
}

const pattern = Buffer.alloc(3_000_000);
for (let i = 0; i < pattern.length; i++) pattern[i] = (i * 31 + (i >> 8)) & 255;

for (const [maker, wrap] of [
  ['socket handles', handles],
  ['public streams', wrapStream],
] as const) {
  for (const security of ['plain', 'tls'] as const) {
    describe(`transport on ${maker}, ${security}`, () => {
      const pair = () => {
        assert.ok(wrap !== undefined, 'this runtime has the socket-handle interface');
        return transportPair(wrap, security === 'tls' ? certificates : undefined);
      };

      test('carries bytes both ways at once, with back-pressure, and closes when both sides have ended', async () => {
        const { client, server } = await pair();
        const [a, b] = [recorder(client), recorder(server)];
        writeAll(client, pattern);
        writeAll(server, pattern);
        await Promise.all([a.until(() => a.closed), b.until(() => b.closed)]);
        assert.ok(a.bytes().equals(pattern) && b.bytes().equals(pattern));
        assert.ok(a.ended && b.ended);
      });

      test('half-close: the other direction goes on', async () => {
        const { client, server } = await pair();
        const [a, b] = [recorder(client), recorder(server)];
        client.write(Buffer.from('question'), 0, 8);
        client.end();
        await b.until(() => b.ended);
        assert.equal(b.bytes().toString(), 'question');
        server.write(pattern, 0, 100_000);
        server.end();
        await a.until(() => a.closed);
        assert.ok(a.bytes().equals(pattern.subarray(0, 100_000)));
      });

      test('says no when the peer does not read, and drains when it does', async () => {
        const { client, server } = await pair();
        const [a, b] = [recorder(client), recorder(server)];
        server.pause();
        let total = 0;
        while (client.write(pattern, 0, 65_536)) total += 65_536;
        total += 65_536;
        const most = client.encrypted ? SHARED_HIGH_WATER : HIGH_WATER;
        assert.ok(client.pendingBytes <= most + 65_536 * 2, `pending ${client.pendingBytes}`);
        server.resume();
        await a.until(() => a.drains > 0);
        await b.until(() => b.length === total);
        client.destroy();
        await b.until(() => b.ended || b.closed);
        server.destroy();
      });

      test('writes of one turn leave together and in order, encoded in place or copied', async () => {
        const { client, server } = await pair();
        const b = recorder(server);
        client.eager = false;
        client.write(Buffer.from('..one '), 2, 6);
        const { buffer, offset } = client.reserve(4);
        buffer.write('two ', offset);
        client.commit(4);
        assert.equal(client.pendingBytes, 8);
        client.flush();
        client.write(Buffer.from('three'), 0, 5);
        await b.until(() => b.length === 13);
        assert.equal(b.bytes().toString(), 'one two three');
        client.destroy();
        server.destroy();
      });

      test('a reset is a close with a code, never an uncaught error; writing afterwards is harmless', async () => {
        const { client, server } = await pair();
        const [a, b] = [recorder(client), recorder(server)];
        server.write(pattern, 0, pattern.length);
        client.destroy();
        await Promise.all([a.until(() => a.closed), b.until(() => b.closed || b.ended)]);
        assert.equal(client.write(pattern, 0, 10), true);
        client.end();
        client.destroy();
        server.destroy();
        await b.until(() => b.closed);
      });

      test('bytes that came before the handler was set are handed over', async () => {
        const { client, server } = await pair();
        client.write(Buffer.from('hello'), 0, 5);
        const late = new Recorder();
        server.handler = late;
        await late.until(() => late.length === 5);
        client.destroy();
        server.destroy();
      });
    });
  }
}

test('the self-test chooses socket handles where they work, unless streams are asked for', async () => {
  assert.equal((await chooseTransport()).kind, 'handle');
  assert.equal((await chooseTransport('streams')).kind, 'stream');
});

test('the self-test falls back to streams when handles are missing, throw or corrupt bytes', async () => {
  assert.ok(handles !== undefined);
  assert.equal((await chooseTransport('fastest', () => assert.fail('broken'))).kind, 'stream');
  const corrupting = await chooseTransport('fastest', (socket) => {
    const transport = handles(socket);
    const write = transport.write.bind(transport);
    transport.write = (_b, start, end) => write(Buffer.alloc(end), start, end);
    return transport;
  });
  assert.equal(corrupting.kind, 'stream');
  assert.match(corrupting.reason, /changed/);
});
