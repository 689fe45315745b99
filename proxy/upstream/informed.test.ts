import assert from 'node:assert/strict';
import { test } from 'node:test';
import { headerListSize } from '../http2/head-encoder.ts';
import { FieldId } from '../message/field-id.ts';
import { Head } from '../message/head.ts';
import { Exchange } from '../message/message.ts';
import { NOBODY } from '../testing/nobody.ts';
import { requestHead } from '../testing/request-head.ts';
import { TimerWheel } from '../transport/timers.ts';
import type { Destination } from './destination.ts';
import { Dispatch } from './dispatch.ts';

/** Sends each request to the one peer that there is. */
class ToOne extends Dispatch {
  readonly taken: string[] = [];

  constructor() {
    super(new TimerWheel(() => 0));
  }
  protected override choose(): Destination {
    const sink = {
      requestHead() {},
      requestData() {},
      requestTrailers() {},
      requestReset: () => void this.taken.push('reset'),
      responseConsumed() {},
    };
    return { upstream: { take: () => sink, wait() {}, cancel() {}, reach: () => () => {} } };
  }
  protected override unplaced(): void {}
  protected override abandoned(): void {}
  protected override prepare(): void {}
}

/** A `103` of so many bytes in all, as lists of fields are measured. */
function hint(bytes: number): Head {
  const head = new Head();
  head.status = 103;
  const bare = headerListSize(head);
  if (bytes === bare) return head;
  const name = Buffer.from('link');
  const value = Buffer.alloc(bytes - bare - name.length - 32, 'x');
  head.add(FieldId.other, name, 0, name.length, value, 0, value.length);
  assert.equal(headerListSize(head), bytes);
  return head;
}

/** What comes of a request that is told of informational heads of so many bytes, and then gets its answer. */
function informed(sizes: readonly number[]): { heard: (number | string)[]; peer: string[] } {
  const heard: (number | string)[] = [];
  const dispatch = new ToOne();
  const x = new Exchange({
    ...NOBODY,
    responseHead: (_x, head) => void heard.push(head.status),
    responseReset: (_x, cause) => void heard.push(cause.code),
  });
  dispatch.requestHead(x, requestHead(), true);
  for (const size of sizes) dispatch.responseHead(x, hint(size), false);
  const answer = new Head();
  answer.status = 200;
  dispatch.responseHead(x, answer, true);
  return { heard, peer: dispatch.taken };
}

test('informational heads of 64 KiB in all are passed on; a byte more, and the request is taken back', () => {
  assert.deepEqual(informed([65_536]), { heard: [103, 200], peer: [] });
  assert.deepEqual(informed([60_000, 5_536]), { heard: [103, 103, 200], peer: [] });
  assert.deepEqual(informed([65_537]), { heard: ['protocol-error'], peer: ['reset'] });
  assert.deepEqual(informed([60_000, 5_537]), { heard: [103, 'protocol-error'], peer: ['reset'] });
});
