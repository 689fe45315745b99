import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FakeTransport } from '../testing/fake-transport.ts';
import { SETTINGS, frame, readFrames, requestFrame, wordFrame } from '../testing/http2-frames.ts';
import { fedServer } from '../testing/http2-server.ts';
import { AppSink } from '../testing/app-sink.ts';
import { TimerWheel } from '../transport/timers.ts';
import { ErrorCode, FrameType } from './frames.ts';
import * as limits from './limits.ts';

/** A server's connection whose clock the test moves, and whose app never answers. */
function start(transport: FakeTransport) {
  let now = 0;
  const { feed } = fedServer(new AppSink(), transport, new TimerWheel(() => now));
  transport.take();
  return { feed, pass: (ms: number) => (now += ms) };
}

/** The code by which the connection was ended; undefined: it was not. */
function goaway(transport: FakeTransport): number | undefined {
  const found = readFrames(transport.take()).find(({ type }) => type === FrameType.goaway);
  return found?.payload.readUInt32BE(4);
}

/** A stream that is opened and reset, n times from the n-th on. */
function resets(from: number, n: number): Buffer {
  const frames: Buffer[] = [];
  for (let i = from; i < from + n; i++) {
    const id = 2 * i + 1;
    frames.push(requestFrame(id, 4), wordFrame(FrameType.reset, id, ErrorCode.cancel));
  }
  return Buffer.concat(frames);
}

const PING = frame(FrameType.ping, 0, 0, Buffer.alloc(8));

describe('HTTP/2: what much of looks like a flood', () => {
  test('a PING for each round trip of 100 us, as clients measure their windows, is answered each time', () => {
    const transport = new FakeTransport();
    const { feed, pass } = start(transport);
    let answers = 0;
    for (let i = 0; i < 50_000; i++) {
      feed(PING);
      pass(0.1);
      answers += readFrames(transport.take()).filter(({ type, flags }) => {
        return type === FrameType.ping && flags === 1;
      }).length;
    }
    assert.equal(answers, 50_000);
  });

  test('a client may reset a burst of streams, and no more than so many a second', () => {
    const transport = new FakeTransport();
    const { feed, pass } = start(transport);
    feed(resets(0, limits.RESET_BURST));
    pass(1_000);
    feed(resets(limits.RESET_BURST, limits.RESETS_PER_SECOND));
    assert.equal(goaway(transport), undefined);
    feed(resets(limits.RESET_BURST + limits.RESETS_PER_SECOND, 1));
    assert.equal(goaway(transport), ErrorCode.enhanceYourCalm);
  });

  test('the connection of a proxy bears what all its clients reset, and is bounded, too', () => {
    const transport = Object.assign(new FakeTransport(), { encrypted: true });
    const { feed, pass } = start(transport);
    let streams = 0;
    for (let second = 0; second < 5; second++) {
      feed(resets(streams, limits.PROXY_RESETS_PER_SECOND));
      streams += limits.PROXY_RESETS_PER_SECOND;
      pass(1_000);
      assert.equal(goaway(transport), undefined);
    }
    feed(resets(streams, limits.PROXY_RESET_BURST));
    assert.equal(goaway(transport), undefined);
    feed(resets(streams + limits.PROXY_RESET_BURST, 1));
    assert.equal(goaway(transport), ErrorCode.enhanceYourCalm);
  });

  const NOTHING = Buffer.alloc(0);
  const control = { burst: limits.CONTROL_BURST, perSecond: limits.CONTROLS_PER_SECOND };
  const ofClient = { burst: limits.RESET_BURST, perSecond: limits.RESETS_PER_SECOND };
  const ofProxy = { burst: limits.PROXY_RESET_BURST, perSecond: limits.PROXY_RESETS_PER_SECOND };
  const reset = (n: number): Buffer => resets(n, 1);
  const open = requestFrame(1, 4);
  for (const [what, { burst, perSecond }, nth, before, encrypted] of [
    ['PING', { burst: limits.PING_BURST, perSecond: limits.PINGS_PER_SECOND }, () => PING, NOTHING, false],
    ['SETTINGS', control, () => SETTINGS, NOTHING, false],
    ['PRIORITY', control, () => frame(FrameType.priority, 0, 1, Buffer.alloc(5)), NOTHING, false],
    ['frames of an unknown type', control, () => frame(0x16, 0, 0), NOTHING, false],
    ['DATA without bytes', control, () => frame(FrameType.data, 0, 1), open, false],
    [
      'CONTINUATION without bytes',
      control,
      () => frame(FrameType.continuation, 0, 1),
      requestFrame(1, 1),
      false,
    ],
    ['streams that a client resets', ofClient, reset, NOTHING, false],
    ['streams that a proxy resets', ofProxy, reset, NOTHING, true],
  ] as const) {
    test(`${what}: a burst and no more, then so many a second and no more, however long it was quiet before`, () => {
      for (const after of [0, 10]) {
        const transport = Object.assign(new FakeTransport(), { encrypted });
        const { feed, pass } = start(transport);
        feed(before);
        pass(3_600_000);
        const most = burst + (perSecond * after) / 1_000;
        for (let i = 0; i < most; i++) {
          if (i === burst) pass(after);
          feed(nth(i));
        }
        assert.equal(goaway(transport), undefined, `${most} with ${after} ms behind the burst`);
        feed(nth(most));
        assert.equal(goaway(transport), ErrorCode.enhanceYourCalm);
      }
    });
  }
});
