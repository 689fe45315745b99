import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLog } from '../../log/index.ts';
import { AccessLog } from '../access-log/access-log.ts';
import { Exchange } from '../message/message.ts';
import { NOBODY } from '../testing/nobody.ts';
import { requestHead } from '../testing/request-head.ts';
import { RandomIds } from '../trace/random-ids.ts';
import { Tracer } from '../trace/tracer.ts';
import { NO_GRPC_STATUS } from './classify.ts';
import type { Outcome } from './http-metrics.ts';
import { Observers } from './observers.ts';
import { Registry } from './registry.ts';
import { WallTime } from './wall-time.ts';

const OK: Outcome = { status: 200, success: true, latencyMs: 1, grpcStatus: NO_GRPC_STATUS, error: '' };
const CLIENT = { address: '10.0.0.1', port: 4711, name: '' };

/** @param dice what is thrown for requests without context */
function setUp(dice: number, logs: boolean) {
  let written = '';
  const accessLog = new AccessLog({
    format: 'json',
    file: '',
    registry: new Registry(),
    log: silentLog,
    write: (chunk, start, length, done) => {
      written += chunk.toString('latin1', start, start + length);
      done(null, length);
    },
  });
  let spans = 0;
  const queue = {
    reserve: (most: number) => ({ bytes: Buffer.alloc(most), at: 0 }),
    commit: () => void spans++,
  };
  const tracer = new Tracer({ sampling: 0.5, ids: new RandomIds(), random: () => dice, queue });
  const observers = new Observers({
    accessLog: logs ? accessLog : undefined,
    tracer,
    wall: new WallTime(() => 0),
  });
  const entries = async (): Promise<Record<string, string>[]> => {
    await accessLog.close();
    return written
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, string>);
  };
  return { observers, entries, spans: () => spans };
}

test('requests that overlap are told apart, and what is used again remembers nothing', async () => {
  const { observers, entries } = setUp(1, true);
  const observer = observers.inbound(CLIENT, true);
  const [x, y] = [new Exchange(NOBODY), new Exchange(NOBODY)];
  const first = observer.begin(x, requestHead({ path: '/first' }));
  const second = observer.begin(y, requestHead({ path: '/second' }));
  if (first !== undefined) first.requestBytes += 7;
  if (second !== undefined) second.responseBytes += 9;
  second?.end(y, { ...OK, status: 500 });
  const third = observer.begin(y, requestHead({ path: '/third' }));
  first?.end(x, OK);
  third?.end(y, { ...OK, status: 204 });
  assert.deepEqual(
    (await entries()).map(({ uri, status, request_bytes: sent, response_bytes: got }) => [
      uri,
      status,
      sent,
      got,
    ]),
    [
      ['/second', 500, '0', '9'],
      ['/first', 200, '7', '0'],
      ['/third', 204, '0', '0'],
    ],
  );
});

test('traces begin where requests enter the mesh, and by the dice', () => {
  const followed = (dice: number, of: 'outbound' | 'stranger' | 'meshed'): boolean => {
    const { observers } = setUp(dice, false);
    const observer =
      of === 'outbound'
        ? observers.outbound(
            () => 'web:80',
            () => undefined,
          )
        : observers.inbound(CLIENT, of === 'meshed');
    const head = requestHead();
    const observed = observer.begin(new Exchange(NOBODY), head);
    assert.equal(head.count, observed === undefined ? 0 : 1);
    return observed !== undefined;
  };
  assert.deepEqual(
    (['outbound', 'stranger', 'meshed'] as const).map((of) => [followed(0.4, of), followed(0.6, of)]),
    [
      [true, false],
      [true, false],
      [false, false],
    ],
  );
});

test('what is recorded becomes a span each, also without an access log', () => {
  const { observers, spans } = setUp(0.4, false);
  const observer = observers.inbound(CLIENT, false);
  const x = new Exchange(NOBODY);
  for (let i = 0; i < 3; i++) observer.begin(x, requestHead())?.end(x, OK);
  assert.equal(spans(), 3);
});
