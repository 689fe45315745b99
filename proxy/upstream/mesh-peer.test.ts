import assert from 'node:assert/strict';
import { test } from 'node:test';
import { causes, type Cause } from '../errors.ts';
import { FakeTransport } from '../testing/fake-transport.ts';
import { TimerWheel } from '../transport/timers.ts';
import type { Dialled } from './dial-peer.ts';
import { ResponseDispatcher } from './response-dispatcher.ts';
import { MeshPeer } from './mesh-peer.ts';

const TARGET = { port: 80, name: '', multiplexes: false };
const REFUSED: Dialled = { kind: 'failed', cause: causes.connectFailed };

/** A peer that is dialled when the test says so. */
function harness() {
  const dials = new Set<(dialled: Dialled) => void>();
  const peer = new MeshPeer({
    dial: (callback) => {
      dials.add(callback);
      return () => dials.delete(callback);
    },
    dialPort: 4143,
    timers: new TimerWheel(() => 0),
    responses: new ResponseDispatcher(),
    random: () => 0,
    onUnused() {},
  });
  const told: (Cause | undefined)[] = [];
  const reach = (): (() => void) => peer.way(TARGET).reach((failure) => told.push(failure));
  /** What comes of the only dial. */
  const answer = (dialled: Dialled): void => {
    const [callback] = dials;
    assert.ok(callback !== undefined && dials.size === 1);
    dials.delete(callback);
    callback(dialled);
  };
  return { dials, told, reach, answer };
}

function linkerd(): { transport: FakeTransport; dialled: Dialled } {
  const transport = new FakeTransport();
  return { transport, dialled: { kind: 'connected', protocol: 'linkerd', transport } };
}

test('a peer that cannot be reached is told as such, to all who ask by one connection', () => {
  const { told, reach, answer } = harness();
  reach();
  reach();
  answer(REFUSED);
  assert.deepEqual(told, [causes.connectFailed, causes.connectFailed]);
});

test("Linkerd's proxy is reached by a connection that is closed again, before and after it is known as such", () => {
  const { told, reach, answer } = harness();
  for (let i = 0; i < 2; i++) {
    const { transport, dialled } = linkerd();
    reach();
    answer(dialled);
    assert.equal(transport.destroyed, true);
  }
  reach();
  answer(REFUSED);
  assert.deepEqual(told, [undefined, undefined, causes.connectFailed]);
});

test('who gives up is told nothing', () => {
  const { dials, told, reach, answer } = harness();
  reach()();
  answer(linkerd().dialled);
  reach()();
  assert.equal(dials.size, 0);
  assert.deepEqual(told, []);
});
