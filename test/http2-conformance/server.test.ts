import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Http2Connection } from '../../proxy/http2/connection.ts';
import { PREFACE } from '../../proxy/http2/frames.ts';
import { Head } from '../../proxy/message/head.ts';
import type { Exchange, RequestSink } from '../../proxy/message/message.ts';
import { spanText } from '../../proxy/bytes/span.ts';
import { FakeTransport } from '../../proxy/testing/fake-transport.ts';
import { SETTINGS } from '../../proxy/testing/http2-frames.ts';
import { TimerWheel } from '../../proxy/transport/timers.ts';
import { readSaid, type Said } from '../testing/http2-reference.ts';
import type { Case, Verdict } from './case.ts';
import { CASES } from './cases.ts';

const PROTOCOL_ERROR = 1;

/** Answers each request when it has ended, but those that are to wait. */
class Answering implements RequestSink {
  requestHead(x: Exchange, head: Head, end: boolean): void {
    if (end && spanText(head.path) !== '/wait') answer(x);
  }
  requestData(x: Exchange, _buffer: Buffer, _start: number, _end: number, last: boolean): void {
    if (last) answer(x);
  }
  requestTrailers(x: Exchange): void {
    answer(x);
  }
  requestReset(): void {}
  responseConsumed(): void {}
}

function answer(x: Exchange): void {
  const head = new Head();
  head.status = 204;
  x.client.responseHead(x, head, true);
}

interface Heard {
  readonly said: readonly Said[];
  readonly transport: FakeTransport;
  /** Requests that a layer saw. */
  readonly routed: number;
}

function serve({ sends, raw = false }: Case): Heard {
  const transport = new FakeTransport();
  const sink = new Answering();
  let routed = 0;
  const connection = new Http2Connection(transport, {
    side: 'server',
    timers: new TimerWheel(() => 0),
    isthmus: false,
    route: () => {
      routed++;
      return sink;
    },
  });
  const bytes = Buffer.concat(raw ? sends : [PREFACE, SETTINGS, ...sends]);
  connection.onData(bytes, 0, bytes.length);
  const said = readSaid(transport.bytes());
  connection.onClose();
  return { said, transport, routed };
}

function check(verdict: Verdict, { said, transport, routed }: Heard): void {
  const goaways = said.filter((one) => one.kind === 'goaway' && one.code !== 0);
  const answered = said.flatMap((one) => (one.kind === 'headers' ? [one] : []));
  if (verdict === 'closed') {
    assert.equal(transport.destroyed, true);
    return;
  }
  if (typeof verdict === 'object' && 'goaway' in verdict) {
    assert.deepEqual(
      goaways.map(({ kind, ...rest }) => (kind === 'goaway' && 'code' in rest ? rest.code : 0)),
      [verdict.goaway],
    );
    assert.equal(transport.ended, true);
    return;
  }
  assert.deepEqual(goaways, []);
  if (verdict === 'ignored') return;
  if ('reset' in verdict) {
    const resets = said.flatMap((one) => (one.kind === 'reset' ? [{ reset: one.code, stream: one.id }] : []));
    assert.deepEqual(resets, [verdict]);
  } else if ('refused' in verdict) {
    assert.deepEqual(
      answered.map(({ id, fields }) => [id, fields[0]]),
      [[verdict.refused, ':status: 400']],
    );
    // Malformed is a stream error, whatever it is answered with (section 8.1.1).
    assert.deepEqual(
      said.flatMap((one) => (one.kind === 'reset' ? [[one.id, one.code]] : [])),
      [[verdict.refused, PROTOCOL_ERROR]],
    );
    assert.equal(routed, 0);
  } else {
    assert.deepEqual(
      answered.map(({ id, fields }) => [id, fields[0]]),
      verdict.answered.map((id) => [id, ':status: 204']),
    );
  }
}

/** Sections that speak of what an endpoint must do with what it is sent. */
const SECTIONS = new Set(CASES.map(({ section }) => section));

for (const section of SECTIONS) {
  describe(`RFC ${section.startsWith('HPACK') ? section.replace('HPACK', '7541') : `9113 ${section}`}`, () => {
    for (const one of CASES.filter((each) => each.section === section))
      test(`${one.what}: ${JSON.stringify(one.verdict)}`, () => check(one.verdict, serve(one)));
  });
}
