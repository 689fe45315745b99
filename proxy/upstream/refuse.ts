import type { Cause } from '../errors.ts';
import type { Exchange, RequestSink } from '../message/message.ts';
import type { Counter, Family } from '../telemetry/registry.ts';

/** Takes a request only to refuse it, and counts that. */
export function refuse(cause: Cause, errors: Family<Counter>): RequestSink {
  return {
    requestHead(x: Exchange) {
      errors.cell({ error: cause.code }).add();
      x.client.responseReset(x, cause);
    },
    requestData(x, _buffer, start, end) {
      // Nobody wants the rest: it is taken, so that the client comes to its end.
      x.client.requestConsumed(x, end - start);
    },
    requestTrailers() {},
    requestReset() {},
    responseConsumed() {},
  };
}
