import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { copyHead } from './copy-head.ts';
import { FieldId, FieldSet } from './field-id.ts';
import { Head } from './head.ts';
import { lastingField, lastingOf } from './lasting-field.ts';
import { setSpan, spanText } from '../bytes/span.ts';

interface Field {
  id: FieldId;
  name: string;
  value: string;
}

const field = fc.record<Field>({
  id: fc.constantFrom(FieldId.other, FieldId.cookie, FieldId.l5dClientId, FieldId.forwarded),
  name: fc.string({ minLength: 1, maxLength: 8 }),
  value: fc.string({ maxLength: 200 }),
});
const fields = fc.array(field, { maxLength: 20 });

function headOf(all: readonly Field[]): Head {
  const head = new Head();
  setSpan(head.method, 'GET');
  setSpan(head.path, '/a/path');
  setSpan(head.authority, 'web.shop');
  head.contentLength = 7;
  for (const [i, { id, name, value }] of all.entries()) {
    const bytes = Buffer.from(`--${name}${value}--`, 'latin1');
    const middle = 2 + Buffer.byteLength(name, 'latin1');
    head.add(id, bytes, 2, middle, bytes, middle, bytes.length - 2);
    head.sensitive[i] = i % 2;
  }
  return head;
}

function read(head: Head): (Field & { sensitive: number })[] {
  return Array.from({ length: head.count }, (_, i) => ({
    id: head.id[i] as FieldId,
    name: head.nameBuffer[i]?.toString('latin1', head.nameStart[i], head.nameEnd[i]) ?? '',
    value: head.value(i),
    sensitive: head.sensitive[i] ?? 0,
  }));
}

test('fields that are removed by id are gone; the others keep their order and all that belongs to them', () => {
  fc.assert(
    fc.property(fields, (all) => {
      const head = headOf(all);
      const expected = read(head).filter(({ id }) => id !== FieldId.cookie);
      head.remove(FieldId.cookie);
      assert.deepEqual(read(head), expected);
      assert.equal(head.find(FieldId.cookie), -1);
    }),
  );
});

test('fields of a set that are removed are gone; the others keep their order and all that belongs to them', () => {
  const ids = fc.subarray<FieldId>([
    FieldId.cookie,
    FieldId.l5dClientId,
    FieldId.forwarded,
    FieldId.grpcTimeout,
  ]);
  fc.assert(
    fc.property(fields, ids, (all, removed) => {
      const head = headOf(all);
      const before = read(head);
      head.removeAll(new FieldSet(...removed));
      assert.deepEqual(
        read(head),
        before.filter(({ id }) => !removed.includes(id)),
      );
    }),
  );
});

test('fields that are removed by name are gone; the others keep their order', () => {
  fc.assert(
    fc.property(fields, (all) => {
      const head = headOf(all);
      const expected = read(head).filter(({ name }) => !name.startsWith('a'));
      head.removeNamed((bytes, start) => bytes[start] === 97);
      assert.deepEqual(read(head), expected);
    }),
  );
});

test('a copy says the same, also when the original and what the copy held before are written over', () => {
  fc.assert(
    fc.property(fields, fields, (all, old) => {
      const head = headOf(all);
      const expected = read(head);
      const copy = copyHead(head, headOf(old));
      for (let i = 0; i < head.count; i++) {
        head.nameBuffer[i]?.fill(0);
        head.valueBuffer[i]?.fill(0);
      }
      head.path.buffer.fill(0);
      assert.deepEqual(read(copy), expected);
      const spans = [copy.method, copy.path, copy.authority, copy.scheme].map(spanText);
      assert.deepEqual(spans, ['GET', '/a/path', 'web.shop', '']);
      assert.equal(copy.contentLength, 7);
    }),
  );
});

test('a copy of a head whose spans lie in one block, next to it, or elsewhere says the same', () => {
  const run = fc.record({ at: fc.nat({ max: 250 }), length: fc.nat({ max: 40 }), elsewhere: fc.boolean() });
  fc.assert(
    fc.property(
      fc.array(fc.tuple(run, run), { maxLength: 20 }),
      fc.tuple(run, run),
      fc.nat({ max: 100 }),
      fc.nat({ max: 150 }),
      fields,
      (spans, [path, authority], start, size, old) => {
        const buffer = Buffer.from(Array.from({ length: 300 }, (_, i) => i & 0xff));
        const other = Buffer.from(Array.from({ length: 300 }, (_, i) => 255 - (i & 0xff)));
        const head = new Head();
        Object.assign(head.block, { buffer, start, end: start + size });
        const of = ({ at, length, elsewhere }: { at: number; length: number; elsewhere: boolean }) =>
          [elsewhere ? other : buffer, at, at + length] as const;
        for (const [span, from] of [
          [head.path, path],
          [head.authority, authority],
        ] as const) {
          const [bytes, begin, end] = of(from);
          Object.assign(span, { buffer: bytes, start: begin, end });
        }
        for (const [name, value] of spans) head.add(FieldId.other, ...of(name), ...of(value));
        const expected = [read(head), spanText(head.path), spanText(head.authority)];
        // Copied again from the copy: what it notes as its block is right too.
        const copy = copyHead(copyHead(head, headOf(old)));
        buffer.fill(0);
        other.fill(0);
        assert.deepEqual([read(copy), spanText(copy.path), spanText(copy.authority)], expected);
      },
    ),
  );
});

test('a field is the lasting one that was added only where all of it still lies', () => {
  const field = lastingField('name', 'value');
  const fresh = (): Head => {
    const head = new Head();
    head.addLasting(FieldId.other, field);
    return head;
  };
  assert.equal(fresh().lasting(0), field);
  const other = Buffer.from(field.buffer);
  const changes: ((head: Head) => void)[] = [
    (head) => (head.nameBuffer[0] = other),
    (head) => head.nameStart[0]!++,
    (head) => head.nameEnd[0]!--,
    (head) => (head.valueBuffer[0] = other),
    (head) => head.valueStart[0]!++,
    (head) => head.valueEnd[0]!--,
    (head) => {
      head.clear();
      head.add(FieldId.other, other, 0, 4, other, 4, 9);
    },
  ];
  for (const change of changes) {
    const head = fresh();
    change(head);
    assert.equal(head.lasting(0), undefined, String(change));
  }
  const { method } = new Head();
  Object.assign(method, { buffer: field.buffer, start: 4, end: 9, origin: field });
  assert.equal(lastingOf(method), field);
  setSpan(method, 'GET');
  assert.equal(lastingOf(method), undefined);
});
