import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { makeCertificates } from '../testing/certificates.ts';
import type { TestCertificates } from '../testing/certificates.ts';
import { Recorder, transportPair } from '../testing/loopback.ts';
import { TRANSPORTS } from '../testing/transports.ts';
import { freeBulkRead, RECORD_BYTES, takeBulkRead } from './bulk-read.ts';
import type { BulkRead } from './bulk-read.ts';

/** Where the next read goes, as an offset. */
const offset = (bulk: BulkRead): number => bulk.next.byteOffset - bulk.buffer.byteOffset;

test('records lie one behind the other until the last one has come', () => {
  const bulk = takeBulkRead();
  const capacity = bulk.buffer.length / RECORD_BYTES;
  for (let i = 1; i < capacity; i++) {
    assert.equal(bulk.next.length, RECORD_BYTES);
    assert.equal(bulk.keep(), true);
    assert.deepEqual([bulk.start, bulk.end, offset(bulk)], [0, i * RECORD_BYTES, i * RECORD_BYTES]);
  }
  assert.equal(bulk.keep(), false);
  bulk.restart();
  assert.deepEqual([bulk.start, bulk.end, offset(bulk)], [0, 0, 0]);
  freeBulkRead(bulk);
});

test('what was handed on is not handed on again, and nothing is read over it before reading begins anew', () => {
  const bulk = takeBulkRead();
  bulk.keep();
  bulk.handedOn();
  assert.deepEqual([bulk.start, bulk.end, offset(bulk)], [RECORD_BYTES, RECORD_BYTES, RECORD_BYTES]);
  bulk.keep();
  assert.deepEqual([bulk.start, bulk.end], [RECORD_BYTES, 2 * RECORD_BYTES]);
  freeBulkRead(bulk);
});

test('two connections never have the same one; one that was given back is empty', () => {
  const [a, b] = [takeBulkRead(), takeBulkRead()];
  assert.notEqual(a, b);
  a.keep();
  freeBulkRead(a);
  const again = takeBulkRead();
  assert.equal(again, a);
  assert.deepEqual([again.start, again.end], [0, 0]);
  freeBulkRead(again);
});

let certificates: TestCertificates;
before(async () => {
  certificates = await makeCertificates('peer.test');
});

for (const [name, wrap] of TRANSPORTS) {
  test(`on ${name}, what ends at the edge of a record is handed on without waiting for more, and before the end`, async () => {
    const pattern = Buffer.from(Array.from({ length: 32 * RECORD_BYTES }, (_, i) => i ^ (i >> 8)));
    const { client, server } = await transportPair(wrap, certificates);
    const peer = new EndRecorder();
    server.handler = peer;
    let total = 0;
    const send = (records: number): void => {
      client.write(pattern, total, total + records * RECORD_BYTES);
      total += records * RECORD_BYTES;
    };
    for (const records of [1, 2, 3, 4, 5, 9, 1, 4]) {
      send(records);
      client.flush();
      await peer.until(() => peer.length === total);
    }
    send(3);
    client.end();
    await peer.until(() => peer.ended);
    assert.equal(peer.lengthAtEnd, total);
    assert.ok(peer.bytes().equals(pattern.subarray(0, total)));
    server.destroy();
  });
}

class EndRecorder extends Recorder {
  lengthAtEnd = -1;

  override onEnd(): void {
    this.lengthAtEnd = this.length;
    super.onEnd();
  }
}
