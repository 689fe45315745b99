import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { huffmanEncode } from '../testing/huffman-encode.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import { ENTRY_OVERHEAD, staticEntry, TABLE_SIZE } from './hpack-table.ts';
import { knownLiteral } from './known-literals.ts';
import { STATIC_FIELDS } from './static-table.ts';

type Field = readonly [name: string, value: string];

/** Literals are remembered for the whole process: every test has values of its own. */
interface Literal {
  name: string;
  value: string;
  /** The name by its index in the static table, where it has one. */
  indexed: boolean;
  coded: boolean;
  form: 'insert' | 'without' | 'never';
}

const literal = (name: string, value: string, more: Partial<Literal> = {}): Literal => ({
  name,
  value,
  indexed: true,
  coded: true,
  form: 'insert',
  ...more,
});

const FIRST = { insert: [0x40, 63], without: [0, 15], never: [0x10, 15] } as const;

/** RFC 7541 section 5.1. */
function integer(first: number, mask: number, value: number): number[] {
  if (value < mask) return [first | value];
  const bytes = [first | mask];
  let rest = value - mask;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return [...bytes, rest];
}

function string(text: string, coded: boolean): number[] {
  const plain = Buffer.from(text, 'latin1');
  const bytes = coded ? huffmanEncode(plain) : plain;
  return [...integer(coded ? 0x80 : 0, 127, bytes.length), ...bytes];
}

function written({ name, value, indexed, coded, form }: Literal): Buffer {
  const [first, mask] = FIRST[form];
  const index = indexed ? STATIC_FIELDS.findIndex(([known]) => known === name) + 1 : 0;
  const head = integer(first, mask, index);
  return Buffer.from([...head, ...(index > 0 ? [] : string(name, coded)), ...string(value, coded)]);
}

function fieldsOf(decoder: HpackDecoder, block: Buffer): Field[] | undefined {
  const list: Field[] = [];
  const field = (
    _kind: number,
    _bad: boolean,
    _sensitive: boolean,
    nameBuffer: Buffer,
    nameStart: number,
    nameEnd: number,
    valueBuffer: Buffer,
    valueStart: number,
    valueEnd: number,
  ): void => {
    const name = nameBuffer.toString('latin1', nameStart, nameEnd);
    list.push([name, valueBuffer.toString('latin1', valueStart, valueEnd)]);
  };
  return decoder.decode(block, 0, block.length, { field }) ? list : undefined;
}

function teach(bytes: Buffer): void {
  for (let i = 0; i < 2; i++) fieldsOf(new HpackDecoder(), bytes);
}

const isKnown = (bytes: Buffer): boolean => knownLiteral(bytes, 0, bytes.length) !== undefined;

test('a literal is known from its second coming on, on every connection', () => {
  const bytes = written(literal('server', 'seen twice'));
  fieldsOf(new HpackDecoder(), bytes);
  assert.equal(isKnown(bytes), false);
  fieldsOf(new HpackDecoder(), bytes);
  assert.equal(isKnown(bytes), true);
  assert.deepEqual(fieldsOf(new HpackDecoder(), bytes), [['server', 'seen twice']]);
});

test('secrets, bad values and names that depend on the connection are never known', () => {
  const never = [
    literal('authorization', 'Bearer known?'),
    literal('proxy-authorization', 'Basic known?'),
    literal('cookie', 'known=1'),
    literal('set-cookie', 'known=2'),
    literal('server', 'kept out of tables', { form: 'never' }),
    literal('server', 'bad\nvalue', { coded: false }),
    literal('server', 'long '.repeat(40)),
  ].map(written);
  for (const bytes of never) {
    teach(bytes);
    assert.equal(isKnown(bytes), false, bytes.toString('latin1'));
  }
  // Index 62 is the field that was inserted last.
  const ofTable = Buffer.from([0x40 | 62, ...string('of the table', true)]);
  for (const name of ['x-one', 'x-two', 'x-one']) {
    const block = Buffer.concat([written(literal(name, `of ${name}`, { indexed: false })), ofTable]);
    assert.deepEqual(fieldsOf(new HpackDecoder(), block)?.[1], [name, 'of the table']);
  }
  assert.equal(isKnown(ofTable), false);
});

test('a literal that its block cuts off is malformed, however well it is known', () => {
  const bytes = written(literal('server', 'cut off somewhere'));
  teach(bytes);
  for (let n = 1; n < bytes.length; n++) {
    const decoder = new HpackDecoder();
    // What lies behind the block is not its own.
    assert.equal(decoder.decode(bytes, 0, n, { field() {} }), false, String(n));
  }
});

test('nothing but the same bytes is the known literal', () => {
  const change = fc.record({ at: fc.nat(60), byte: fc.nat(255) });
  const taught = new Set<string>();
  fc.assert(
    fc.property(fc.stringMatching(/^[a-z]{1,20}$/), fc.boolean(), change, (value, coded, { at, byte }) => {
      const bytes = written(literal('via', `${value} of a property`, { coded }));
      teach(bytes);
      assert.ok(isKnown(bytes));
      taught.add(bytes.toString('hex'));
      const changed = Buffer.from(bytes);
      changed[at % bytes.length] = byte;
      if (isKnown(changed)) assert.ok(taught.has(changed.toString('hex')), changed.toString('latin1'));
    }),
  );
});

test('tables of several connections hold what their peers inserted, known before or not', () => {
  const value = fc.oneof(
    fc.constantFrom('', 'a', 'Sat, 21 Nov 2026 16:08:11 GMT', 'nginx/1.22.1', 'v'.repeat(200)),
    fc.nat(400).map((n) => `value ${n}`),
  );
  const oneLiteral = fc.record<Literal>({
    name: fc.constantFrom('server', 'date', 'content-type', ':path', 'x-of-ours', 'cookie'),
    value,
    indexed: fc.boolean(),
    coded: fc.boolean(),
    form: fc.constantFrom('insert', 'insert', 'insert', 'without', 'never'),
  });
  const blocks = fc.array(fc.tuple(fc.nat(1), fc.array(oneLiteral, { maxLength: 12 })), {
    minLength: 20,
    maxLength: 60,
  });
  fc.assert(
    fc.property(blocks, (list) => {
      const peers = [0, 1].map(() => ({ decoder: new HpackDecoder(), table: [] as Field[] }));
      for (const [who, literals] of list) {
        const { decoder, table } = peers[who] ?? assert.fail();
        const block = Buffer.concat(literals.map(written));
        const expected = literals.map(({ name, value: text }): Field => [name, text]);
        assert.deepEqual(fieldsOf(decoder, block), expected);
        for (const { name, value: text, form } of literals)
          if (form === 'insert') insert(table, [name, text]);
        // What was read from is used again at once, as a read buffer is.
        block.fill(0);
        const all = Buffer.from(table.flatMap((_, i) => integer(0x80, 127, i + 62)));
        assert.deepEqual(fieldsOf(decoder, all), table);
      }
    }),
    { numRuns: 30 },
  );
});

/** RFC 7541 section 4.4: what came first goes. */
function insert(table: Field[], field: Field): void {
  const size = ([name, text]: Field): number => name.length + text.length + ENTRY_OVERHEAD;
  table.unshift(field);
  while (table.reduce((sum, each) => sum + size(each), 0) > TABLE_SIZE) table.pop();
}

test('entries of the static table are as they were', () => {
  STATIC_FIELDS.forEach(([name, value], i) => {
    const { buffer, nameEnd, valueEnd, index } = staticEntry(i + 1) ?? assert.fail(name);
    assert.deepEqual(
      [buffer.toString(), nameEnd, valueEnd, index],
      [name + value, name.length, (name + value).length, i + 1],
    );
  });
});
