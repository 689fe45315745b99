import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FieldId } from '../message/field-id.ts';
import { Head } from '../message/head.ts';
import { grpcCodeOf, isFailure, NO_GRPC_STATUS } from './classify.ts';
import { HttpMetrics, type Outcome } from './http-metrics.ts';
import { Registry } from './registry.ts';

const OK: Outcome = { status: 200, success: true, latencyMs: 1, grpcStatus: NO_GRPC_STATUS, error: '' };

function responses(outcomes: readonly Partial<Outcome>[]): [string, number][] {
  const metrics = new HttpMetrics(new Registry());
  const cells = metrics.cells({ direction: 'inbound' });
  for (const outcome of outcomes) cells.response({ ...OK, ...outcome });
  return [...metrics.responses.cells()].map(({ labels, value }) => [labels, value]);
}

test('responses count by status, classification, gRPC status and what ended them', () => {
  assert.deepEqual(
    responses([
      {},
      {},
      { grpcStatus: 0 },
      { grpcStatus: 14, success: false },
      { status: 504, success: false, error: 'timeout' },
      { status: 504, success: false },
      { status: 504, success: false, error: 'timeout' },
    ]),
    [
      ['direction="inbound",status_code="200",classification="success"', 2],
      ['direction="inbound",status_code="200",classification="success",grpc_status="0"', 1],
      ['direction="inbound",status_code="200",classification="failure",grpc_status="14"', 1],
      ['direction="inbound",status_code="504",classification="failure",error="timeout"', 2],
      ['direction="inbound",status_code="504",classification="failure"', 1],
    ],
  );
});

test('a gRPC status is one of seventeen, whatever an app writes', () => {
  const codeOf = (text: string): number => {
    const head = new Head();
    const value = Buffer.from(text);
    head.add(FieldId.grpcStatus, value, 0, 0, value, 0, value.length);
    return grpcCodeOf(head);
  };
  assert.deepEqual(['0', '7', '16', '17', '99999', '', 'OK', '-1'].map(codeOf), [0, 7, 16, 2, 2, 2, 2, 2]);
  assert.equal(grpcCodeOf(new Head()), NO_GRPC_STATUS);
  assert.deepEqual(
    [isFailure(200, NO_GRPC_STATUS), isFailure(200, 0), isFailure(200, 5), isFailure(503, 0)],
    [false, false, true, true],
  );
});
