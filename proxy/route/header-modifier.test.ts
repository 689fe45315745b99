import assert from 'node:assert/strict';
import { test } from 'node:test';

import { create } from '@bufbuild/protobuf';
import fc from 'fast-check';

import { RequestHeaderModifierSchema } from '../../api/proto/gen/linkerd/http_route_pb.js';
import { fieldIdOf } from '../message/field-names.ts';
import { Head, MAX_FIELDS } from '../message/head.ts';
import { HeaderModifier } from './header-modifier.ts';

type Fields = Record<string, string>;

function modifier({
  set = {},
  add = {},
  remove = [],
}: {
  set?: Fields;
  add?: Fields;
  remove?: string[];
}): HeaderModifier {
  const headers = (fields: Fields) => ({
    headers: Object.entries(fields).map(([name, value]) => ({ name, value: Buffer.from(value, 'latin1') })),
  });
  return new HeaderModifier(
    create(RequestHeaderModifierSchema, { set: headers(set), add: headers(add), remove }),
  );
}

function headOf(fields: [name: string, value: string][]): Head {
  const head = new Head();
  for (const [name, value] of fields) {
    const n = Buffer.from(name);
    const v = Buffer.from(value, 'latin1');
    head.add(fieldIdOf(n, 0, n.length), n, 0, n.length, v, 0, v.length);
  }
  return head;
}

function fieldsOf(head: Head): [string, string][] {
  return Array.from({ length: head.count }, (_, i) => [
    head.nameBuffer[i]?.toString('latin1', head.nameStart[i], head.nameEnd[i]) ?? '',
    head.value(i),
  ]);
}

test('fields are replaced, added and removed, whatever the case of their names', () => {
  const head = headOf([
    ['X-A', '1'],
    ['x-a', '2'],
    ['x-b', '3'],
    ['X-Gone', '4'],
  ]);
  assert.equal(
    modifier({ set: { 'x-A': 'new' }, add: { 'X-B': 'more' }, remove: ['x-gone'] }).apply(head),
    true,
  );
  assert.deepEqual(fieldsOf(head), [
    ['x-b', '3'],
    ['x-a', 'new'],
    ['x-b', 'more'],
  ]);
});

for (const name of [
  'Host',
  'content-length',
  'Transfer-Encoding',
  'connection',
  'upgrade',
  'te',
  'l5d-client-id',
  'l5d-x',
  'forwarded',
  ':path',
  ':isthmus-port',
  'a b',
  'a\r\nb',
  '',
]) {
  test(`a route may not touch ${JSON.stringify(name)}`, () => {
    const before: [string, string][] = [
      ['host', 'h'],
      ['content-length', '3'],
      ['l5d-client-id', 'c'],
    ];
    const head = headOf(before);
    modifier({ set: { [name]: 'x' }, add: { [name]: 'y' }, remove: [name] }).apply(head);
    assert.deepEqual(fieldsOf(head), before);
  });
}

test('no value makes a second field or message', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 8 }), (bytes) => {
      const head = headOf([]);
      modifier({ set: { 'x-a': Buffer.from(bytes).toString('latin1') } }).apply(head);
      for (const [, text] of fieldsOf(head)) assert.doesNotMatch(text, /[\0\r\n]/);
    }),
  );
  const head = headOf([]);
  modifier({ set: { 'x-a': 'a\r\nhost: b' } }).apply(head);
  assert.deepEqual(fieldsOf(head), []);
});

test('a head without room is said to have none', () => {
  const head = headOf(Array.from({ length: MAX_FIELDS }, (_, i) => [`x-${i}`, '']));
  assert.equal(modifier({ add: { 'x-more': '1' } }).apply(head), false);
});
