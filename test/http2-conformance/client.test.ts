import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Cause } from '../../proxy/errors.ts';
import { Http2Connection } from '../../proxy/http2/connection.ts';
import type { Head } from '../../proxy/message/head.ts';
import { Exchange, type ResponseSink } from '../../proxy/message/message.ts';
import { FakeTransport } from '../../proxy/testing/fake-transport.ts';
import { frame, SETTINGS, wordFrame } from '../../proxy/testing/http2-frames.ts';
import { requestHead } from '../../proxy/testing/request-head.ts';
import { TimerWheel } from '../../proxy/transport/timers.ts';
import { readSaid } from '../testing/http2-reference.ts';

/** One answer, in words. */
class Answer implements ResponseSink {
  text = '';
  responseHead(_x: Exchange, head: Head, end: boolean): void {
    this.text += `${head.status}${end ? ' end ' : ' '}`;
  }
  responseData(_x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void {
    this.text += `${buffer.toString('latin1', start, end)}${last ? ' end ' : ''}`;
  }
  responseTrailers(): void {
    this.text += ' trailers end ';
  }
  responseReset(x: Exchange, _cause: Cause): void {
    this.text += x.refused ? 'refused' : 'broken';
  }
  requestConsumed(): void {}
}

const PREFACE_LENGTH = 24;

/** What becomes of two requests, a GET and a HEAD, on streams 1 and 3, and what the client says to the server. */
function hear(frames: readonly Buffer[]): { get: string; head: string; said: string[] } {
  const transport = new FakeTransport();
  const timers = new TimerWheel(() => 0);
  const connection = new Http2Connection(transport, { side: 'client', timers, isthmus: false });
  connection.onData(SETTINGS, 0, SETTINGS.length);
  const answers = ['GET', 'HEAD'].map((method) => {
    const answer = new Answer();
    const x = new Exchange(answer);
    x.isHead = method === 'HEAD';
    connection.requestHead(x, requestHead({ method }), true);
    return answer;
  });
  const before = transport.bytes().length;
  const bytes = Buffer.concat(frames);
  connection.onData(bytes, 0, bytes.length);
  assert.ok(before > PREFACE_LENGTH);
  const said = readSaid(transport.bytes().subarray(before)).flatMap((one) => {
    if (one.kind === 'reset') return [`reset ${one.id} ${one.code}`];
    return one.kind === 'goaway' ? [`goaway ${one.code}`] : [];
  });
  const [get, head] = answers.map(({ text }) => text.trim());
  return { get: get ?? '', head: head ?? '', said };
}

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
const field = (name: string, value: string): Buffer =>
  Buffer.concat([
    Buffer.from([0, name.length]),
    Buffer.from(name),
    Buffer.from([value.length]),
    Buffer.from(value),
  ]);
const answered = (id: number, flags: number, ...more: Buffer[]): Buffer =>
  frame(1, flags, id, Buffer.concat([hex('88'), ...more]));
const goodHead = answered(3, 5);

describe('RFC 9113, the client’s side', () => {
  for (const [section, what, frames, get, said] of [
    ['8.1', 'a head alone', [answered(1, 5)], '200 end', []],
    [
      '8.1',
      'head, data, trailers',
      [answered(1, 4), frame(0, 0, 1, 'ab'), frame(1, 5, 1, field('a', 'b'))],
      '200 ab trailers end',
      [],
    ],
    [
      '8.1',
      '1xx, then the answer',
      [frame(1, 4, 1, field(':status', '103')), answered(1, 5)],
      '103 200 end',
      [],
    ],
    ['8.1', '1xx that ends the stream', [frame(1, 5, 1, field(':status', '103'))], 'broken', ['reset 1 1']],
    ['8.1', 'data before a head', [frame(0, 0, 1, 'x')], 'broken', ['reset 1 5']],
    [
      '8.1',
      'an answer before the request has ended is whole',
      [answered(1, 4), frame(0, 1, 1, 'x'), wordFrame(3, 1, 0)],
      '200 x end',
      [],
    ],
    [
      '8.1.1',
      'less data than content-length',
      [answered(1, 4, field('content-length', '3')), frame(0, 1, 1, 'ab')],
      '200 broken',
      ['reset 1 1'],
    ],
    [
      '8.1.1',
      'more data than content-length',
      [answered(1, 4, field('content-length', '1')), frame(0, 0, 1, 'ab')],
      '200 broken',
      ['reset 1 1'],
    ],
    [
      '8.2.2',
      'transfer-encoding',
      [answered(1, 5, field('transfer-encoding', 'chunked'))],
      'broken',
      ['reset 1 1'],
    ],
    ['8.2.2', '101', [frame(1, 4, 1, field(':status', '101'))], 'broken', ['reset 1 1']],
    ['8.3.2', 'no status', [frame(1, 5, 1, field('a', 'b'))], 'broken', ['reset 1 1']],
    [
      '8.3.2',
      'a status that is no number',
      [frame(1, 5, 1, field(':status', '2x0'))],
      'broken',
      ['reset 1 1'],
    ],
    ['8.3.2', 'a pseudo-header of requests', [answered(1, 5, field(':path', '/'))], 'broken', ['reset 1 1']],
    ['8.4', 'PUSH_PROMISE, which was declined', [frame(5, 4, 1, hex('00000002 82'))], 'broken', ['goaway 1']],
    ['5.1', 'an answer on a stream that was never opened', [answered(9, 5)], 'broken', ['goaway 1']],
    ['5.1.1', 'a stream of the server’s own', [answered(2, 5)], 'broken', ['goaway 1']],
    ['6.5.2', 'ENABLE_PUSH of 2', [frame(4, 0, 0, hex('0002 00000002'))], 'broken', ['goaway 1']],
    ['6.8', 'GOAWAY below the stream', [frame(7, 0, 0, hex('00000000 00000000'))], 'refused', []],
    ['7', 'REFUSED_STREAM', [wordFrame(3, 1, 7)], 'refused', []],
    ['7', 'an unknown error code', [wordFrame(3, 1, 0xdead)], 'broken', []],
  ] as const) {
    test(`${section}: ${what}`, () => {
      const heard = hear(frames);
      assert.deepEqual([heard.get, heard.said], [get, said]);
    });
  }

  test('8.1: what answers a HEAD has no data, nor has a 204', () => {
    assert.equal(hear([answered(3, 4, field('content-length', '9')), frame(0, 1, 3)]).head, '200  end');
    assert.equal(hear([answered(3, 4), frame(0, 1, 3, 'x')]).head, '200 broken');
    assert.equal(hear([frame(1, 4, 1, hex('89')), frame(0, 1, 1, 'x'), goodHead]).get, '204 broken');
  });

  test('5.4.2: an error of one stream leaves the other alone', () => {
    const { get, head } = hear([frame(0, 0, 1, 'x'), goodHead]);
    assert.deepEqual([get, head], ['broken', '200 end']);
  });
});
