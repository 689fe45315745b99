import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setSpan } from '../bytes/span.ts';
import { FieldId } from '../message/field-id.ts';
import { Head } from '../message/head.ts';
import { Exchange, type RequestSink, type ResponseSink } from '../message/message.ts';
import { MAX_KEPT_BYTES } from '../route/retry-policy.ts';
import { TimerWheel } from '../transport/timers.ts';
import type { Destination } from './destination.ts';
import { Dispatch } from './dispatch.ts';
import { NO_RETRY } from './dispatch-hooks.ts';

const UNAVAILABLE = '14';

/** Sends each call to the one peer that there is, and again at once when its trailers say that it failed. */
class Retrying extends Dispatch {
  readonly #peer: RequestSink;
  /** Calls that were sent again. */
  retried = 0;

  constructor(peer: RequestSink) {
    super(new TimerWheel(() => 0));
    this.#peer = peer;
  }
  protected override choose(): Destination {
    return { upstream: { take: () => this.#peer, wait() {}, cancel() {}, reach: () => () => {} } };
  }
  protected override unplaced(): void {}
  protected override abandoned(): void {}
  protected override prepare(): void {}
  protected override waitsForTrailers(): boolean {
    return true;
  }
  protected override retryDelay(_attempt: unknown, _status: number, grpcStatus: string | undefined): number {
    if (grpcStatus !== UNAVAILABLE) return NO_RETRY;
    this.retried++;
    return 0;
  }
}

/** What a call that fails by its trailers comes to, all in one turn, when so much of its body comes behind the head of its answer. */
function call(bodyBytes: number): { heard: string[]; retried: number; told: string[] } {
  const heard: string[] = [];
  const told: string[] = [];
  const client: ResponseSink = {
    responseHead: (_x, head) => void heard.push(`head ${head.status}`),
    responseData() {},
    responseTrailers: (_x, trailers) => void heard.push(trailers.value(trailers.find(FieldId.grpcStatus))),
    responseReset: (_x, cause) => void heard.push(cause.code),
    requestConsumed() {},
  };
  const peer: RequestSink = {
    requestHead: () => void told.push('head'),
    requestData: () => void told.push('data'),
    requestTrailers() {},
    requestReset: () => void told.push('reset'),
    responseConsumed() {},
  };
  const dispatch = new Retrying(peer);
  const x = new Exchange(client);
  const head = new Head();
  setSpan(head.method, 'POST');
  dispatch.requestHead(x, head, false);
  const answer = new Head();
  answer.status = 200;
  dispatch.responseHead(x, answer, false);
  dispatch.requestData(x, Buffer.alloc(bodyBytes), 0, bodyBytes, true);
  const trailers = new Head();
  const field = Buffer.from(`grpc-status${UNAVAILABLE}`);
  trailers.add(FieldId.grpcStatus, field, 0, 11, field, 11, field.length);
  dispatch.responseTrailers(x, trailers);
  return { heard, retried: dispatch.retried, told };
}

test('trailers ask for a retry while the request is kept; of one that is kept no more they are passed on', () => {
  assert.deepEqual(call(MAX_KEPT_BYTES), { heard: [], retried: 1, told: ['head', 'data', 'reset'] });
  assert.deepEqual(call(MAX_KEPT_BYTES + 1), {
    heard: ['head 200', UNAVAILABLE],
    retried: 0,
    told: ['head', 'data'],
  });
});
