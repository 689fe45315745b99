import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Quietest } from './quietest.ts';

/** More than are remembered of one look. */
const MANY = 200;

interface Peer {
  activeStreams: number;
  draining: boolean;
  ready: boolean;
  heardAt: number;
}

function idle(heardAt: number): Peer {
  return { activeStreams: 0, draining: false, ready: true, heardAt };
}

function setUp(peers: readonly Peer[]) {
  const connections = new Set(peers);
  const quietest = new Quietest(connections);
  /** Times of all that go, in their order. */
  const leave = (): number[] => {
    const gone: number[] = [];
    for (let next = quietest.next(); next !== undefined; next = quietest.next()) {
      next.draining = true;
      gone.push(next.heardAt);
    }
    return gone;
  };
  return { connections, quietest, leave };
}

test('of connections without a stream the one that was heard longest ago, then the next', () => {
  // In no order: 7 and 200 have no common divisor.
  const peers = Array.from({ length: MANY }, (_, i) => idle((i * 7) % MANY));
  assert.deepEqual(
    setUp(peers).leave(),
    Array.from({ length: MANY }, (_, i) => i),
  );
});

test('none that is busy, has not spoken yet, or goes already', () => {
  const others = [{ activeStreams: 1 }, { ready: false }, { draining: true }];
  const unfit = others.map((other) => ({ ...idle(1), ...other }));
  assert.deepEqual(setUp([...unfit, idle(5)]).leave(), [5]);
  assert.equal(setUp(unfit).quietest.next(), undefined);
});

test('what has changed since the look is judged as it is now', () => {
  const [first, used, busy, closed, last] = [1, 2, 3, 4, 5].map(idle);
  assert.ok(first && used && busy && closed && last);
  const { connections, quietest } = setUp([first, used, busy, closed, last]);
  assert.equal(quietest.next(), first);
  first.draining = true;
  used.heardAt = 9;
  busy.activeStreams = 1;
  connections.delete(closed);
  quietest.forget(closed);
  assert.equal(quietest.next(), last);
  last.draining = true;
  assert.equal(quietest.next(), used);
});
