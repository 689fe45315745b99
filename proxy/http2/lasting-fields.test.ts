import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { copyHead } from '../message/copy-head.ts';
import { FieldId } from '../message/field-id.ts';
import { Head } from '../message/head.ts';
import { lastingField } from '../message/lasting-field.ts';
import { setSpan, spanText } from '../bytes/span.ts';
import { HeadDecoder } from './head-decoder.ts';
import { HeadEncoder } from './head-encoder.ts';
import { hashName, hashValue, TABLE_SIZE } from './hpack-table.ts';

type Field = readonly [name: string, value: string];

interface Request {
  /** Which of two clients asks. */
  client: 0 | 1;
  path: string;
  fields: readonly Field[];
  /** Requests that come before this one goes on: heads wait for connections. */
  waits: number;
  /** The next hop's table from here on. */
  limit: number | undefined;
}

/** Few values, so that they repeat, and large ones, so that entries are evicted while heads that came from them wait. */
const value = fc.oneof(
  fc.constantFrom('a', 'b', 'c'),
  fc.nat(40).map((n) => `${n}`.padEnd(400, 'v')),
);
const request = fc.record<Request>({
  client: fc.constantFrom(0, 1),
  path: fc.constantFrom('/', '/a', '/b', '/cc'),
  fields: fc.array(fc.tuple(fc.constantFrom('x-one', 'x-two', 'cookie'), value), { maxLength: 6 }),
  waits: fc.nat(12),
  limit: fc.option(fc.constantFrom(0, 100, 1_000, TABLE_SIZE), { nil: undefined, freq: 8 }),
});

/** A power of two that the index of an encoder divides: who meets here, meets there. */
const INDEX_SLOTS = 4_096;
const OWN = lastingField('l5d-client-id', 'client');

/** One way of a connection: what an encoder writes, a decoder reads. */
class Link {
  readonly encoder = new HeadEncoder(true);
  readonly #head = new Head();
  readonly #decoder = new HeadDecoder(this.#head, true);

  /** What the other end makes of the head: it is valid during the call. */
  pass<T>(head: Head, take: (head: Head) => T): T {
    const block = Buffer.alloc(16_384);
    const end = this.encoder.encode('request', head, block, 0);
    assert.equal(this.#decoder.decode(block, 0, end, this.#head, 'request'), 'ok');
    const taken = take(this.#head);
    // What was read from is used again at once, as a read buffer is.
    block.fill(0);
    return taken;
  }
}

function headOf({ path, fields }: Request): Head {
  const head = new Head();
  setSpan(head.method, 'GET');
  setSpan(head.scheme, 'http');
  setSpan(head.authority, 'web.shop:80');
  setSpan(head.path, path);
  for (const [name, text] of fields) {
    const bytes = Buffer.from(name + text, 'latin1');
    const id = name === 'cookie' ? FieldId.cookie : FieldId.other;
    head.add(id, bytes, 0, name.length, bytes, name.length, bytes.length);
  }
  return head;
}

function read(head: Head): { line: string[]; fields: Field[] } {
  const name = (i: number): string =>
    head.nameBuffer[i]?.toString('latin1', head.nameStart[i], head.nameEnd[i]) ?? '';
  return {
    line: [head.method, head.scheme, head.authority, head.path].map(spanText),
    fields: Array.from({ length: head.count }, (_, i) => [name(i), head.value(i)] as const),
  };
}

test('heads of several connections go on over one as they came, whatever the tables forget while they wait', () => {
  fc.assert(
    fc.property(fc.array(request, { maxLength: 60 }), (requests) => {
      const clients = [new Link(), new Link()] as const;
      const next = new Link();
      const waiting: { head: Head; from: Request; due: number }[] = [];
      const send = (now: number): void => {
        for (const [i, { head, from, due }] of [...waiting.entries()].reverse()) {
          if (due > now) continue;
          waiting.splice(i, 1);
          const expected = read(headOf(from));
          assert.deepEqual(next.pass(head, read), {
            ...expected,
            fields: [...expected.fields, ['l5d-client-id', 'client']],
          });
        }
      };
      for (const [i, from] of requests.entries()) {
        const head = clients[from.client].pass(headOf(from), (came) => copyHead(came));
        head.addLasting(FieldId.l5dClientId, OWN);
        if (from.limit !== undefined) next.encoder.setTableLimit(from.limit);
        waiting.push({ head, from, due: i + from.waits });
        send(i);
      }
      send(Infinity);
    }),
  );
});

test('a field that repeats costs a byte on the next hop, whoever sent it', () => {
  const clients = [new Link(), new Link()] as const;
  const next = new HeadEncoder(true);
  const from: Request = { client: 0, path: '/a', fields: [['x-one', 'a']], waits: 0, limit: undefined };
  const out = Buffer.alloc(1_024);
  const lengths = Array.from({ length: 8 }, (_, i) =>
    clients[i % 2 === 0 ? 0 : 1].pass(headOf(from), (came) => next.encode('request', came, out, 0)),
  );
  assert.equal(lengths.at(-1), 5);
});

test('fields of two clients that lie at the same place and meet in the index are told apart', () => {
  const name = Buffer.from('x-one');
  const slot = (text: string): number => {
    const bytes = Buffer.from(text);
    return hashValue(hashName(name, 0, name.length), bytes, 0, bytes.length) & (INDEX_SLOTS - 1);
  };
  const first = 'value-0';
  let n = 1;
  while (slot(`value-${n}`) !== slot(first)) n++;
  const clients = [new Link(), new Link()] as const;
  const next = new Link();
  const send = (client: 0 | 1, text: string): { line: string[]; fields: Field[] } => {
    const from: Request = { client, path: '/', fields: [['x-one', text]], waits: 0, limit: undefined };
    return clients[client].pass(headOf(from), (came) => next.pass(came, read));
  };
  for (let i = 0; i < 4; i++) send(0, first);
  for (let i = 0; i < 4; i++) assert.deepEqual(send(1, `value-${n}`).fields, [['x-one', `value-${n}`]]);
  assert.deepEqual(send(0, first).fields, [['x-one', first]]);
});
