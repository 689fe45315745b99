import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FakeTransport } from '../testing/fake-transport.ts';
import { TimerWheel } from '../transport/timers.ts';
import { Detecting } from './detecting.ts';

const REQUEST = 'GET / HTTP/1.1\r\nhost: web\r\n\r\n';

class Scene {
  readonly transport = new FakeTransport();
  /** `kind bytes`, with what ended. */
  readonly decided: string[] = [];
  readonly detecting: Detecting;
  readonly #wheel: TimerWheel;
  #now = 0;

  constructor(rest = '') {
    this.#wheel = new TimerWheel(() => this.#now);
    this.detecting = new Detecting(this.transport, this.#wheel, Buffer.from(rest), (protocol, kept) => {
      this.decided.push(`${protocol?.kind} ${kept.bytes.toString()}${kept.ended ? ' ended' : ''}`);
    });
  }

  receive(text: string): void {
    const bytes = Buffer.from(text);
    this.detecting.onData(bytes, 0, bytes.length);
  }

  /** Lets ms pass. */
  pass(ms: number): void {
    for (const until = this.#now + ms; this.#now < until;) {
      this.#now += 100;
      this.#wheel.tick();
    }
  }
}

describe('detection while nobody has said whether bytes may be looked at', () => {
  test('HTTP waits for the word, and no more is read meanwhile', () => {
    const scene = new Scene(REQUEST);
    scene.detecting.hold(1_000);
    scene.detecting.start(10_000);
    assert.deepEqual([scene.decided, scene.transport.paused], [[], true]);
    // Had been read before reading stopped.
    scene.receive('more');
    scene.detecting.release();
    assert.deepEqual([scene.decided, scene.transport.paused], [[`http1 ${REQUEST}more`], false]);
  });

  test('word that they are opaque comes before what they look like', () => {
    const scene = new Scene();
    scene.detecting.hold(1_000);
    scene.detecting.start(10_000);
    scene.receive(REQUEST);
    scene.detecting.end({ kind: 'opaque', reason: 'marked' });
    assert.deepEqual([scene.decided, scene.transport.paused], [[`opaque ${REQUEST}`], false]);
  });

  test('without any word the bytes count after a while, with the end that came meanwhile', () => {
    const scene = new Scene(REQUEST);
    scene.detecting.hold(1_000);
    scene.detecting.start(10_000);
    scene.detecting.onEnd();
    scene.pass(800);
    assert.deepEqual(scene.decided, []);
    scene.pass(400);
    assert.deepEqual(scene.decided, [`http1 ${REQUEST} ended`]);
    scene.pass(20_000);
    assert.equal(scene.decided.length, 1);
  });

  test('a time of detection that is shorter than the wait keeps what was found', () => {
    const scene = new Scene(REQUEST);
    scene.detecting.hold(1_000);
    scene.detecting.start(100);
    scene.pass(300);
    assert.deepEqual(scene.decided, [`http1 ${REQUEST}`]);
  });

  test('what is no HTTP waits for nobody, and word that comes before the bytes decides nothing', () => {
    const binary = new Scene('\x01\x02');
    binary.detecting.hold(1_000);
    binary.detecting.start(10_000);
    assert.deepEqual(binary.decided, ['opaque \x01\x02']);
    const silent = new Scene();
    silent.detecting.hold(1_000);
    silent.detecting.start(10_000);
    silent.detecting.release();
    assert.deepEqual(silent.decided, []);
    silent.receive(REQUEST);
    assert.deepEqual(silent.decided, [`http1 ${REQUEST}`]);
  });
});
