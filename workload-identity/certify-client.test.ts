import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { silentLog } from '../log/index.ts';
import { createCertifyClient } from './certify-client.ts';
import { GrpcError, grpcStatus } from './grpc-error.ts';
import { ManualClock } from './testing/manual-clock.ts';
import { silentHttp2 } from './testing/silent-http2.ts';

test('an identity service that does not answer is given up after 10 s, with its connection', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-token-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const tokenFile = join(folder, 'token');
  writeFileSync(tokenFile, 'a token');
  const clock = new ManualClock(0);
  const { connect, told, requests, reached } = silentHttp2(true);
  const certify = createCertifyClient({
    address: 'identity:8080',
    resolve: () => Promise.resolve([{ address: '10.0.0.1', port: 8080 }]),
    tls: () => ({}),
    logger: silentLog,
    connect,
    clock,
    tokenFile,
  });
  const ends: unknown[] = [];
  const asked = certify({ identity: 'web', csr: Buffer.from('csr') }).catch((error: unknown) => {
    ends.push(error);
  });
  await reached({ requests: 1 });
  assert.equal(requests[0]?.fields['grpc-timeout'], '10000m');
  clock.advance(9_999);
  await nextTurn();
  assert.deepEqual([ends, told], [[], ['10.0.0.1']]);
  clock.advance(1);
  await asked;
  const [error] = ends;
  assert.ok(error instanceof GrpcError);
  assert.equal(error.code, grpcStatus.deadlineExceeded);
  assert.deepEqual(told, ['10.0.0.1', 'given up 10.0.0.1']);
});
