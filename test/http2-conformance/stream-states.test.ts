import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { frame, REQUEST, requestFrame, wordFrame } from '../../proxy/testing/http2-frames.ts';
import type { Said } from '../testing/http2-reference.ts';
import { field, head, hex, zeros } from './case.ts';
import { hear, type HeardByClient } from './hear.ts';
import { serve } from './serve.ts';

/** A stream that nobody has used before: what a connection that goes on is asked at last. */
const NEXT = 101;
const WAITING = Buffer.concat([REQUEST.subarray(0, 2), field(':path', '/wait'), REQUEST.subarray(3)]);
const ANSWER = hex('88');

/** An opaque stream between our proxies: each way ends by itself. */
function tunnel(authority: string): Buffer {
  return head(
    1,
    4,
    field(':method', 'CONNECT'),
    field(':authority', authority),
    field(':isthmus-protocol', 'tcp'),
    field(':isthmus-port', '80'),
  );
}

/** Frames of each type on a stream, as good as they can be there. */
const FRAMES: Readonly<Record<string, (id: number) => Buffer>> = {
  DATA: (id) => frame(0, 0, id, 'x'),
  'DATA-last': (id) => frame(0, 1, id, 'x'),
  request: (id) => head(id, 5, REQUEST),
  answer: (id) => head(id, 5, ANSWER),
  'answer-open': (id) => head(id, 4, ANSWER),
  '103': (id) => head(id, 4, field(':status', '103')),
  trailers: (id) => head(id, 5, field('a', 'b')),
  PRIORITY: (id) => frame(2, 0, id, zeros(5)),
  RST_STREAM: (id) => wordFrame(3, id, 8),
  SETTINGS: (id) => frame(4, 0, id),
  PUSH_PROMISE: (id) => frame(5, 4, id, Buffer.concat([hex('00000002'), REQUEST])),
  PING: (id) => frame(6, 0, id, zeros(8)),
  GOAWAY: (id) => frame(7, 0, id, Buffer.concat([hex('7fffffff'), zeros(4)])),
  WINDOW_UPDATE: (id) => wordFrame(8, id, 8),
  CONTINUATION: (id) => frame(9, 4, id, REQUEST),
  unknown: (id) => frame(0x16, 0xff, id, 'x'),
};

interface State {
  readonly id: number;
  readonly sends: readonly Buffer[];
  readonly isthmus?: boolean;
}

/** How a client brings a stream of a server into each state of RFC 9113 section 5.1. */
const OF_SERVER: Readonly<Record<string, State>> = {
  idle: { id: 1, sends: [] },
  open: { id: 1, sends: [head(1, 4, REQUEST)] },
  tunnel: { id: 1, sends: [tunnel('a')], isthmus: true },
  remote: { id: 1, sends: [head(1, 5, WAITING)] },
  local: { id: 1, sends: [tunnel('ended')], isthmus: true },
  closed: { id: 1, sends: [requestFrame(1)] },
  'by-peer': { id: 1, sends: [head(1, 4, REQUEST), wordFrame(3, 1, 8)] },
  'by-us': { id: 1, sends: [head(1, 4, REQUEST), wordFrame(8, 1, 0)] },
  none: { id: 0, sends: [] },
  even: { id: 2, sends: [] },
};

/**
 * What a server says to each frame in each state. `remote`, `local`: half-closed; `by-peer`, `by-us`: closed by a
 * reset; `none`: the connection itself; `even`: a stream that only a server could have opened. `.`: nothing; `A`, `B`:
 * it answers 204, 400; `R`, `G` and a code: it resets the stream, ends the connection with it; `pong`, `ack`: to PING,
 * SETTINGS; `E`: it ends the connection without a word, since nothing is under way. But where the connection ends, it
 * then answers another request.
 */
const SERVER = `
                 idle   open  tunnel  remote  local  closed  by-peer  by-us  none  even
  DATA           G1     .     .       R5      .      R5      R5       .      G1    G1
  DATA-last      G1     A     .       R5      .      R5      R5       .      G1    G1
  request        A      R1    R1      R5      R1     G1      G1       G1     G1    G1
  trailers       B+R1   A     .       R5      .      .       .        .      G1    G1
  PRIORITY       .      .     .       .       .      .       .        .      G1    .
  RST_STREAM     G1     .     .       .       .      .       .        .      G1    G1
  SETTINGS       G1     G1    G1      G1      G1     G1      G1       G1     ack   G1
  PUSH_PROMISE   G1     G1    G1      G1      G1     G1      G1       G1     G1    G1
  PING           G1     G1    G1      G1      G1     G1      G1       G1     pong  G1
  GOAWAY         G1     G1    G1      G1      G1     G1      G1       G1     E     G1
  WINDOW_UPDATE  G1     .     .       .       .      .       .        .      .     G1
  CONTINUATION   G1     G1    G1      G1      G1     G1      G1       G1     G1    G1
  unknown        .      .     .       .       .      .       .        .      .     .
`;

/** How a server brings a stream of a client into each; stream 1 is a POST whose body goes on, stream 3 a GET. */
const OF_CLIENT: Readonly<Record<string, State>> = {
  idle: { id: 9, sends: [] },
  open: { id: 1, sends: [] },
  begun: { id: 1, sends: [head(1, 4, ANSWER)] },
  local: { id: 3, sends: [] },
  'local-begun': { id: 3, sends: [head(3, 4, ANSWER)] },
  remote: { id: 1, sends: [head(1, 5, ANSWER)] },
  closed: { id: 3, sends: [head(3, 5, ANSWER)] },
  'by-peer': { id: 1, sends: [wordFrame(3, 1, 8)] },
  'by-us': { id: 1, sends: [wordFrame(8, 1, 0)] },
  none: { id: 0, sends: [] },
  even: { id: 2, sends: [] },
};

/**
 * What a client says to each, in the same words, and `A` or `X`: the request has its answer, or has none. But where it
 * ends the connection, stream 5 then gets an answer.
 */
const CLIENT = `
                 idle   open  begun  local  local-begun  remote  closed  by-peer  by-us  none  even
  DATA           G1     R5+X  .      R5+X   .            R5      R5      R5       .      G1    G1
  DATA-last      G1     R5+X  A      R5+X   A            R5      R5      R5       .      G1    G1
  answer         G1     A     R1+X   A      R1+X         R5      .       .        .      G1    G1
  answer-open    G1     .     R1+X   .      R1+X         R5      .       .        .      G1    G1
  103            G1     .     R1+X   .      R1+X         R5      .       .        .      G1    G1
  trailers       G1     R1+X  A      R1+X   A            R5      .       .        .      G1    G1
  PRIORITY       .      .     .      .      .            .       .       .        .      G1    .
  RST_STREAM     G1     X     X      X      X            .       .       .        .      G1    G1
  SETTINGS       G1     G1    G1     G1     G1           G1      G1      G1       G1     ack   G1
  PUSH_PROMISE   G1     G1    G1     G1     G1           G1      G1      G1       G1     G1    G1
  PING           G1     G1    G1     G1     G1           G1      G1      G1       G1     pong  G1
  GOAWAY         G1     G1    G1     G1     G1           G1      G1      G1       G1     .     G1
  WINDOW_UPDATE  G1     .     .      .      .            .       .       .        .      .     G1
  CONTINUATION   G1     G1    G1     G1     G1           G1      G1      G1       G1     G1    G1
  unknown        .      .     .      .      .            .       .       .        .      .     .
`;

/** Cells of a table: [frame, state, what is expected]. */
function cellsOf(table: string): [string, string, string][] {
  const [states = [], ...rows] = table
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/));
  return rows.flatMap(([name = '', ...cells]) =>
    cells.map((cell, i): [string, string, string] => [name, states[i] ?? '', cell]),
  );
}

/** One thing that was said, in the words of the tables; of stream `NEXT` nothing. */
function wordOf(one: Said): string[] {
  if ('id' in one && one.id === NEXT) return [];
  if (one.kind === 'headers') return [one.fields[0] === ':status: 204' ? 'A' : 'B'];
  if (one.kind === 'reset') return [`R${one.code}`];
  if (one.kind === 'goaway') return [`G${one.code}`];
  if (one.kind === 'settings') return ['ack'];
  return one.kind === 'ping' && one.ack ? ['pong'] : [];
}

function outcome(words: readonly string[]): string {
  return words.length === 0 ? '.' : words.join('+');
}

describe('RFC 9113 5.1: each frame in each state of a stream', () => {
  for (const [name, state, expected] of cellsOf(SERVER)) {
    test(`server: ${name} when ${state}: ${expected}`, () => {
      const { id, ...before } = OF_SERVER[state]!;
      const known = serve(before).said.length;
      const sends = [...before.sends, FRAMES[name]!(id), requestFrame(NEXT)];
      const { said, transport } = serve({ ...before, sends });
      const words = said.slice(known).flatMap(wordOf);
      if (words.length === 0 && transport.ended) words.push('E');
      assert.equal(outcome(words), expected);
      const answered = said.some((one) => one.kind === 'headers' && one.id === NEXT);
      assert.equal(answered, !/^[GE]/.test(expected), 'whether the connection goes on');
    });
  }

  for (const [name, state, expected] of cellsOf(CLIENT)) {
    test(`client: ${name} when ${state}: ${expected}`, () => {
      const { id, sends } = OF_CLIENT[state]!;
      const before = hear(sends);
      const after = hear([...sends, FRAMES[name]!(id), head(5, 5, ANSWER)]);
      const words = after.said.slice(before.said.length).flatMap(wordOf);
      const connectionLives = !expected.startsWith('G');
      if (connectionLives) words.push(...endOf(id, before, after));
      assert.equal(outcome(words), expected);
      assert.equal(after.answers[5], connectionLives ? 'whole' : 'broken');
    });
  }
});

/** What the frame has made of the request on a stream: nothing, where that had ended before or goes on. */
function endOf(id: number, before: HeardByClient, after: HeardByClient): string[] {
  if (before.answers[id] === after.answers[id]) return [];
  return after.answers[id] === 'whole' ? ['A'] : after.answers[id] === 'broken' ? ['X'] : [];
}
