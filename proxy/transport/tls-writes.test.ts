import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { makeCertificates, type TestCertificates } from '../testing/certificates.ts';
import { recorder, transportPair } from '../testing/loopback.ts';
import { handleWrap } from './handle-transport.ts';
import type { StreamHandle, WriteRequest } from './stream-bindings.ts';
import { wrapStream } from './stream-transport.ts';
import type { Transport, Wrap } from './transport.ts';

let certificates: TestCertificates;
before(async () => {
  certificates = await makeCertificates('peer.test');
});

/** A pair over TLS, and the requests of all of its client's writes. */
async function watchedPair(
  begun: (request: WriteRequest) => void = () => undefined,
): Promise<{ client: Transport; server: Transport; requests: WriteRequest[] }> {
  const handles = handleWrap(wrapStream);
  assert.ok(handles !== undefined);
  const requests: WriteRequest[] = [];
  const wrap: Wrap = (connection) => {
    const { _handle: handle } = connection as unknown as { _handle: StreamHandle };
    const write = handle.writeBuffer.bind(handle);
    handle.writeBuffer = (request, bytes) => {
      const answer = write(request, bytes);
      begun(request);
      requests.push(request);
      return answer;
    };
    return handles(connection);
  };
  const pair = await transportPair(Object.assign(wrap, { tcp: handles.tcp }), certificates);
  return { ...pair, requests };
}

function send(transport: Transport, text: string): void {
  transport.write(Buffer.from(text), 0, text.length);
  transport.flush();
}

function isTold({ oncomplete }: WriteRequest): boolean {
  return typeof oncomplete === 'function';
}

// The first, since what a process has once seen of its runtime it believes.
test('where a write under way does not say so, each has a request of its own and is told of', async () => {
  const { client, server, requests } = await watchedPair((request) => (request.getAsyncId = () => -1));
  const received = recorder(server);
  for (const text of ['one', 'two', 'three']) send(client, text);
  await received.until(() => received.length === 11);
  send(client, 'four');
  await received.until(() => received.length === 15);
  assert.equal(received.bytes().toString(), 'onetwothreefour');
  assert.equal(new Set(requests).size, requests.length);
  assert.ok(requests.every(isTold));
  client.destroy();
  server.destroy();
});

test('nobody is told of a write that is over when the next one comes, and one request serves for both', async () => {
  const { client, server, requests } = await watchedPair();
  const received = recorder(server);
  send(client, 'one');
  await received.until(() => received.length === 3);
  send(client, 'two');
  await received.until(() => received.length === 6);
  assert.equal(received.bytes().toString(), 'onetwo');
  assert.equal(requests.length, 2);
  assert.equal(requests[0], requests[1]);
  assert.ok(!requests.some(isTold));
  client.destroy();
  server.destroy();
});

test('what comes while a write is under way goes when it is told to be over, and so does an end', async () => {
  const { client, server, requests } = await watchedPair();
  const received = recorder(server);
  send(client, 'one');
  send(client, 'two');
  assert.equal(requests.length, 1);
  assert.ok(requests.every(isTold));
  client.end();
  await received.until(() => received.ended);
  assert.equal(received.bytes().toString(), 'onetwo');
  assert.notEqual(requests[0], requests[1]);
  server.destroy();
  client.destroy();
});
