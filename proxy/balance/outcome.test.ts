import assert from 'node:assert/strict';
import { test } from 'node:test';
import { causes } from '../errors.ts';
import { ErrorCode } from '../http2/frames.ts';
import { Exchange } from '../message/message.ts';
import { NOBODY } from '../testing/nobody.ts';
import { isEndpointsFault, isGatewaysFault } from './outcome.ts';

test('a stream that is reset speaks against an endpoint; against a gateway only a lost connection does', () => {
  const x = new Exchange(NOBODY);
  const judge = () => [isEndpointsFault(causes.upstreamReset), isGatewaysFault(x, causes.upstreamReset)];
  assert.deepEqual(judge(), [true, true]);
  x.resetCode = ErrorCode.cancel;
  assert.deepEqual(judge(), [true, false]);
  assert.equal(isGatewaysFault(new Exchange(NOBODY), causes.clientGone), false);
});
