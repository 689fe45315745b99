import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fieldIdOf } from '../message/field-names.ts';
import { Head } from '../message/head.ts';
import { TraceContext, type Told } from './context.ts';
import { SPAN_ID_AT, Span } from './span.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SHORT = '8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';
const OWN = '00f067aa0ba902b7';

function headOf(fields: Record<string, string | string[]>): Head {
  const head = new Head();
  for (const [name, given] of Object.entries(fields)) {
    for (const text of [given].flat()) {
      const [n, v] = [Buffer.from(name), Buffer.from(text, 'latin1')];
      head.add(fieldIdOf(n, 0, n.length), n, 0, n.length, v, 0, v.length);
    }
  }
  return head;
}

function fieldsOf(head: Head): Record<string, string> {
  const fields: Record<string, string> = {};
  for (let i = 0; i < head.count; i++) {
    const name = head.nameBuffer[i]?.toString('latin1', head.nameStart[i], head.nameEnd[i]) ?? '';
    fields[name] = head.value(i);
  }
  return fields;
}

function read(fields: Record<string, string | string[]>): Told {
  return new TraceContext().read(headOf(fields), new Span());
}

/** What goes on when the request is recorded. */
function passedOn(fields: Record<string, string>): Record<string, string> {
  const [context, span, head] = [new TraceContext(), new Span(), headOf(fields)];
  context.read(head, span);
  if (!span.hasParent) span.ids.write(TRACE, 0, 'hex');
  span.ids.write(OWN, SPAN_ID_AT, 'hex');
  span.flags |= 1;
  context.write(head, span);
  return fieldsOf(head);
}

test('traceparent: what W3C says is read, everything else is as if there were nothing', () => {
  const cases: [string, Told][] = [
    [`00-${TRACE}-${PARENT}-01`, 'sampled'],
    [`00-${TRACE}-${PARENT}-03`, 'sampled'],
    [`00-${TRACE}-${PARENT}-00`, 'unsampled'],
    [`00-${TRACE}-${PARENT}-02`, 'unsampled'],
    [`cc-${TRACE}-${PARENT}-01`, 'sampled'],
    [`cc-${TRACE}-${PARENT}-01-what-the-future-brings`, 'sampled'],
    [`cc-${TRACE}-${PARENT}-01.what`, 'none'],
    [`00-${TRACE}-${PARENT}-01-more`, 'none'],
    [`ff-${TRACE}-${PARENT}-01`, 'none'],
    [`00-${TRACE.toUpperCase()}-${PARENT}-01`, 'none'],
    [`00-${'0'.repeat(32)}-${PARENT}-01`, 'none'],
    [`00-${TRACE}-${'0'.repeat(16)}-01`, 'none'],
    [`00-${TRACE}-${PARENT}`, 'none'],
    [`00_${TRACE}-${PARENT}-01`, 'none'],
    [`00-${TRACE}-${PARENT}-0g`, 'none'],
    ['', 'none'],
  ];
  for (const [traceparent, told] of cases) assert.equal(read({ traceparent }), told, traceparent);
  const one = `00-${TRACE}-${PARENT}-01`;
  assert.equal(read({ traceparent: [one, one] }), 'none');
});

test('B3: one field or several, with the old short ids, and all the ways to say yes and no', () => {
  const cases: [Record<string, string>, Told][] = [
    [{ b3: `${TRACE}-${PARENT}-1` }, 'sampled'],
    [{ b3: `${TRACE}-${PARENT}-d` }, 'sampled'],
    [{ b3: `${SHORT}-${PARENT}-1-${OWN}` }, 'sampled'],
    [{ b3: `${TRACE}-${PARENT}-0` }, 'unsampled'],
    [{ b3: `${TRACE}-${PARENT}` }, 'undecided'],
    [{ b3: '0' }, 'denied'],
    [{ b3: '1' }, 'none'],
    [{ b3: `${TRACE}-${PARENT}-x` }, 'none'],
    [{ b3: `${TRACE}-${PARENT.slice(1)}` }, 'none'],
    [{ 'x-b3-traceid': TRACE, 'x-b3-spanid': PARENT, 'x-b3-sampled': '1' }, 'sampled'],
    [{ 'x-b3-traceid': TRACE, 'x-b3-spanid': PARENT, 'x-b3-sampled': 'true' }, 'sampled'],
    [{ 'x-b3-traceid': SHORT, 'x-b3-spanid': PARENT, 'x-b3-sampled': 'false' }, 'unsampled'],
    [{ 'x-b3-traceid': TRACE, 'x-b3-spanid': PARENT, 'x-b3-flags': '1' }, 'sampled'],
    [{ 'x-b3-traceid': TRACE, 'x-b3-spanid': PARENT }, 'undecided'],
    [{ 'x-b3-sampled': '0' }, 'denied'],
    [{ 'x-b3-traceid': TRACE, 'x-b3-sampled': '1' }, 'none'],
  ];
  for (const [fields, told] of cases) assert.equal(read(fields), told, JSON.stringify(fields));
});

test('a context goes on in its own form, below the own span', () => {
  assert.deepEqual(passedOn({ traceparent: `00-${TRACE}-${PARENT}-03`, tracestate: 'a=b' }), {
    traceparent: `00-${TRACE}-${OWN}-03`,
    tracestate: 'a=b',
  });
  assert.deepEqual(passedOn({ b3: `${SHORT}-${PARENT}` }), { b3: `${SHORT}-${OWN}-1-${PARENT}` });
  assert.deepEqual(passedOn({ 'x-b3-traceid': SHORT, 'x-b3-spanid': PARENT }), {
    'x-b3-traceid': SHORT,
    'x-b3-spanid': OWN,
    'x-b3-parentspanid': PARENT,
    'x-b3-sampled': '1',
  });
});

test('W3C goes before B3, whose fields stay as they are', () => {
  const b3 = `${SHORT}-${PARENT}-0`;
  assert.deepEqual(passedOn({ b3, traceparent: `00-${TRACE}-${PARENT}-01` }), {
    b3,
    traceparent: `00-${TRACE}-${OWN}-01`,
  });
});

test('a trace that begins here is told as W3C has it, and takes the place of what could not be read', () => {
  const begun = { traceparent: `00-${TRACE}-${OWN}-01` };
  assert.deepEqual(passedOn({}), begun);
  assert.deepEqual(passedOn({ traceparent: 'nonsense', tracestate: 'a=b', 'x-b3-sampled': '1' }), begun);
});

test('whatever stands in the fields: no error, and what is passed on can be read as sampled', () => {
  const value = fc.oneof(
    fc.string({ maxLength: 80 }),
    fc.constantFrom(`00-${TRACE}-${PARENT}-01`, `${TRACE}-${PARENT}-1`, TRACE, PARENT, '1'),
  );
  const name = fc.constantFrom(
    'traceparent',
    'b3',
    'x-b3-traceid',
    'x-b3-spanid',
    'x-b3-sampled',
    'x-b3-flags',
  );
  fc.assert(
    fc.property(fc.dictionary(name, value), (fields) => {
      const told = read(fields);
      if (told === 'denied' || told === 'unsampled') return;
      assert.equal(read(passedOn(fields)), 'sampled');
    }),
  );
});
